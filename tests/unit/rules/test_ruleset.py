import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.walk import (
    CLASSES,
    LOST,
    LOWER_HALF,
    MIDDLE,
    TENTATIVE,
    UTC_S,
    happened_s,
    moment,
    play,
    rule_set,
    track,
)
from vigil.data import Occurrence, Phase
from vigil.rules import RuleSet
from vigil.spec import LineRule, MarkerRule, Point, TrackRule, TrafficRule, Voted, ZoneRule

ZONE = ZoneRule(rule_id="zone", polygon=MIDDLE, dwell_s=0.5)
LINE = LineRule(rule_id="line", points=(Point(0.0, 0.5), Point(1.0, 0.5)))
TRACK = TrackRule(rule_id="track", update_s=1.0)
MARKER = MarkerRule(rule_id="mark")


def told(events):
    return [(event.type, event.phase.value) for event in events]


def random_walk(seed, frames=120, objects=6):
    rng = np.random.default_rng(seed)
    feet = rng.random((objects, 2))
    scene = []
    for _ in range(frames):
        feet = np.clip(feet + rng.normal(scale=0.05, size=feet.shape), 0.01, 0.99)
        scene.append(tuple(track(foot, track_id=n + 1) for n, foot in enumerate(feet)))
    return scene


def test_a_track_is_told_from_confirmation_to_its_end():
    frames = [(track((0.5, 0.5), state=TENTATIVE),)] + [(track((0.5, 0.5)),)] * 12
    frames += [(track((0.5, 0.5), state=LOST),)] * 3 + [()]
    events = play(rule_set(TRACK), frames)
    assert told(e for _, e in events) == [
        ("track", "new"),
        ("track", "update"),
        ("track", "update"),
        ("track", "end"),
    ]
    assert [frame_s for frame_s, _ in events] == pytest.approx([0.2, 1.2, 2.2, 3.2])
    assert [happened_s(e) for _, e in events] == pytest.approx([0.0, 1.2, 2.2, 2.4])
    assert events[-1][1].attributes == {"duration_s": 2.4, "reason": "lost"}
    assert len({e.episode_id for _, e in events}) == 1
    assert len({e.event_id for _, e in events}) == 4


def test_every_analysed_frame_has_its_marker():
    events = play(rule_set(MARKER), [(), (track((0.5, 0.5)),), ()])
    assert told(e for _, e in events) == [("marker", "new")] * 3
    assert [e.attributes["count"] for _, e in events] == [0, 1, 0]
    assert len({e.event_id for _, e in events}) == 3
    assert events[1][1].track_id is None
    assert events[1][1].captured_s == pytest.approx(0.21)


def test_ids_are_those_of_the_recipe():
    (_, event), *_ = play(rule_set(ZONE), [(track((0.5, 0.5), track_id=7),)])
    occurrence = Occurrence("yard", 3, "zone", 7, "enter", 0)
    assert event.event_id == occurrence.event_id(Phase.NEW)
    assert event.episode_id == occurrence.episode_id()
    assert (event.stream_id, event.run, event.occurred_at_s) == ("yard", 3, UTC_S)


@given(st.integers(0, 2**32 - 1))
def test_the_same_tracks_give_the_same_events(seed):
    scene = random_walk(seed, frames=40)
    one, other = (play(rule_set(ZONE, LINE, TRACK, MARKER), scene) for _ in range(2))
    assert one == other
    ids = [event.event_id for _, event in one]
    assert len(set(ids)) == len(ids)


def test_rules_do_not_disturb_each_other():
    scene = random_walk(5)
    together = play(rule_set(ZONE, LINE, TRACK), scene)
    for rule in (ZONE, LINE, TRACK):
        alone = [event for _, event in play(rule_set(rule), scene)]
        assert [e for _, e in together if e.rule_id == rule.rule_id] == alone


def test_a_rule_that_is_the_same_goes_on_and_one_that_changed_ends_and_begins_anew():
    rules = rule_set(ZONE, TRACK, labels={"site": "a"})
    here = (track((0.5, 0.6)),)
    begun = [event for n in range(5) for event in rules.advance(moment(0.2 * n), here)]
    assert told(begun) == [("zone.enter", "new"), ("track", "new"), ("zone.dwell", "new")]
    wider = ZoneRule(rule_id="zone", polygon=LOWER_HALF, dwell_s=0.5)
    ended = rules.replace((TRACK, LINE, wider), labels={"site": "b"}, moment=moment(0.9))
    assert told(ended) == [("zone.dwell", "end"), ("zone.exit", "new")]
    assert {event.attributes["reason"] for event in ended} == {"rule_changed"}
    assert {happened_s(event) for event in ended} == {0.8}
    again = [event for n in range(5, 12) for event in rules.advance(moment(0.2 * n), here)]
    assert told(again) == [
        ("zone.enter", "new"),
        ("track", "update"),
        ("zone.dwell", "new"),
        ("track", "update"),
    ]
    assert happened_s(again[0]) == pytest.approx(1.0)
    assert again[0].labels == {"site": "b"}
    assert not {e.event_id for e in begun} & {e.event_id for e in again}
    assert told(rules.finish(moment(2.4))) == [
        ("track", "end"),
        ("zone.dwell", "end"),
        ("zone.exit", "new"),
    ]


def test_removing_all_rules_ends_what_is_open_and_adding_them_again_repeats_no_id():
    rules = rule_set(ZONE, TRACK, MARKER)
    here = (track((0.5, 0.6)),)
    ids = [event.event_id for event in rules.advance(moment(0.0), here)]
    ids += [e.event_id for e in rules.replace((), labels={}, moment=moment(0.1))]
    assert rules.advance(moment(0.2), here) == []
    assert rules.replace((ZONE, TRACK, MARKER), labels={}, moment=moment(0.3)) == []
    ids += [event.event_id for event in rules.advance(moment(0.4), here)]
    ids += [event.event_id for event in rules.finish(moment(0.6))]
    assert len(ids) == 3 + 2 + 3 + 2
    assert len(set(ids)) == len(ids)


def test_a_finished_run_has_nothing_open():
    rules = rule_set(ZONE, TRACK)
    for n in range(5):
        rules.advance(moment(0.2 * n), (track((0.5, 0.5)),))
    ends = rules.finish(moment(3.0))
    assert told(ends) == [("zone.dwell", "end"), ("zone.exit", "new"), ("track", "end")]
    assert {happened_s(event) for event in ends} == {0.8}
    assert rules.finish(moment(3.1)) == []


def test_events_of_a_frame_come_in_the_order_in_which_they_happened():
    west = ZoneRule(rule_id="a", polygon=tuple(Point(x / 2, y) for x, y in LOWER_HALF))
    east = ZoneRule(rule_id="b", polygon=tuple(Point(0.6 + 0.4 * x, y) for x, y in LOWER_HALF))
    events = play(rule_set(east, west), [(track((x, 0.8)),) for x in (0.4, 0.7)])
    assert [(e.rule_id, e.type) for _, e in events][:3] == [
        ("a", "zone.enter"),
        ("a", "zone.exit"),
        ("b", "zone.enter"),
    ]


def test_what_is_known_of_a_track_is_in_all_its_events_and_in_no_others():
    traits = {}
    rules = RuleSet(
        (ZONE, MARKER), stream_id="yard", run=3, class_names=("person",), labels={}, traits=traits
    )
    inside = track((0.5, 0.5))
    first = rules.advance(moment(0.0), (inside,))
    traits[1] = {"type": {"class": "van", "probability": 0.9}}
    later = [e for n in range(1, 6) for e in rules.advance(moment(n * 0.2), (inside,))]
    ended = rules.advance(moment(1.2), ())  # the tracker gave it up: its traits are still known
    assert [e.type for e in first + later + ended if "type" in e.attributes] == [
        "zone.dwell",
        "zone.dwell",
        "zone.exit",
    ]
    dwell = next(e for e in later if e.type == "zone.dwell")
    assert dwell.attributes["type"] == {"class": "van", "probability": 0.9}
    assert dwell.attributes["duration_s"] >= 0.5


def test_a_rule_s_own_word_stands_before_a_classifier_of_the_same_name():
    rules = RuleSet(
        (LINE,),
        stream_id="yard",
        run=3,
        class_names=("person",),
        labels={},
        traits={1: {"direction": {"class": "up"}}},
    )
    (crossing,) = [
        e
        for n, y in enumerate((0.3, 0.4, 0.6, 0.7, 0.8))
        for e in rules.advance(moment(n * 0.2), (track((0.5, y)),))
    ]
    assert crossing.attributes["direction"] == "right"


VAN = Voted(classifier="type", classes=("van", "lorry"))


def test_a_rule_waits_for_the_vote_that_it_wants_and_tells_what_happened_before():
    traits = {}
    line = LineRule(rule_id="l", points=(Point(0.0, 0.5), Point(1.0, 0.5)), voted=(VAN,))
    zone = ZoneRule(rule_id="z", polygon=LOWER_HALF, voted=(VAN,))
    rules = RuleSet(
        (line, zone), stream_id="yard", run=1, class_names=CLASSES, labels={}, traits=traits
    )

    def step(time_s, y, *, track_id=1):
        return rules.advance(moment(time_s), (track((0.5, y), track_id=track_id),))

    assert step(0.0, 0.4) == []
    assert step(1.0, 0.6) == []
    traits[1] = {"type": {"class": "taxi", "probability": 0.6, "crops": 1}}
    assert step(1.5, 0.6) == [], "voted to be something else"
    traits[1] = {"type": {"class": "van", "probability": 0.7, "crops": 2}}
    told = step(2.0, 0.6)
    assert [event.type for event in told] == ["zone.enter", "line.cross"]
    assert [happened_s(event) for event in told] == [pytest.approx(0.5)] * 2
    assert told[1].attributes["type"]["class"] == "van"
    traits[2] = {"colour": {"class": "van"}}
    assert [event.type for event in step(3.0, 0.6, track_id=2)] == ["zone.exit"]


def test_a_traffic_rule_counts_only_what_was_voted_so():
    counted = TrafficRule(
        rule_id="t", points=(Point(0.0, 0.5), Point(1.0, 0.5)), above=0.0, voted=(VAN,)
    )
    for label, events in (("van", 1), ("taxi", 0)):
        rules = RuleSet(
            (counted,), stream_id="yard", run=1, class_names=CLASSES, labels={},
            traits={1: {"type": {"class": label}}},
        )  # fmt: skip
        told = [rules.advance(moment(n * 0.5), (track((0.5, 0.4 + 0.2 * n)),)) for n in range(3)]
        assert sum(map(len, told)) == events

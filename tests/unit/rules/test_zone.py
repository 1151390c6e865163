import math
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rules.walk import (
    LOST,
    LOWER_HALF,
    MIDDLE,
    TENTATIVE,
    happened_s,
    moment,
    play,
    rule_set,
    track,
    walk,
)
from vigil.data import Phase
from vigil.rules.geometry import ZoneField, closed, distance
from vigil.spec import Point, ZoneRule

coordinate = st.floats(0.01, 0.99)
corner = st.builds(Point, coordinate, coordinate)


def zone(polygon=MIDDLE, **more):
    return ZoneRule(rule_id="z", polygon=polygon, **more)


def told(events):
    return [(event.type, event.phase.value) for event in events]


def test_walking_through_is_one_enter_and_one_exit_at_the_moments_of_the_edges():
    enter, left = walk(rule_set(zone()), [(0.1 + 0.07 * n, 0.5) for n in range(12)], step_s=0.2)
    assert (enter.type, left.type) == ("zone.enter", "zone.exit")
    assert happened_s(enter) == pytest.approx(0.2 * (0.2 / 0.07))
    assert happened_s(left) == pytest.approx(0.2 * (0.6 / 0.07))
    assert enter.attributes == {"appeared": False, "count": 1}
    assert left.attributes == {
        "duration_s": pytest.approx(0.2 * 0.4 / 0.07, abs=1e-3),
        "count": 0,
        "lost": False,
        "reason": "left",
    }
    assert (enter.class_name, enter.track_id, enter.rule_id) == ("person", 1, "z")


def test_an_object_first_seen_inside_enters_as_appeared():
    events = walk(rule_set(zone()), [(0.5, 0.5)] * 3)
    assert events[0].attributes["appeared"] is True
    assert happened_s(events[0]) == 0.0


def test_jitter_at_the_edge_within_the_hysteresis_says_nothing():
    feet = [(0.1, 0.5)] + [(0.3 + 0.009 * (-1) ** n, 0.5) for n in range(50)] + [(0.1, 0.5)]
    assert walk(rule_set(zone(hysteresis=0.01)), feet) == []


def test_jitter_at_the_edge_after_entering_neither_leaves_nor_enters_again():
    feet = [(0.1, 0.5), (0.4, 0.5)] + [(0.3 + 0.009 * (-1) ** n, 0.5) for n in range(50)]
    assert told(walk(rule_set(zone(hysteresis=0.01)), [*feet, (0.4, 0.5), (0.1, 0.5)])) == [
        ("zone.enter", "new"),
        ("zone.exit", "new"),
    ]


def test_who_stops_just_inside_the_edge_has_entered_soon():
    frames = [(track((0.295, 0.5)),), *[(track((0.305, 0.5)),)] * 9, (track((0.1, 0.5)),)]
    (frame_s, enter), (_, left) = play(rule_set(zone(hysteresis=0.05)), frames)
    assert (enter.type, left.type) == ("zone.enter", "zone.exit")
    assert happened_s(enter) == pytest.approx(0.1)
    assert frame_s == pytest.approx(0.6)


def test_walking_over_the_pictures_lower_border_is_no_exit():
    feet = [(0.5, 0.4 + 0.05 * n) for n in range(13)] + [(0.5, 1.0)] * 5
    (enter, _) = events = play(rule_set(zone(LOWER_HALF)), [(track(foot),) for foot in feet])
    assert enter[1].type == "zone.enter"
    assert events[1][1].attributes["reason"] == "run_ended"


def test_only_confirmed_objects_enter_and_then_with_the_time_at_which_they_did():
    states = [TENTATIVE] * 4 + [track((0.5, 0.5)).state] * 3
    feet = [(0.1, 0.5), (0.25, 0.5), (0.35, 0.5), (0.5, 0.5)] + [(0.5, 0.5)] * 3
    frames = [(track(foot, state=state),) for foot, state in zip(feet, states, strict=True)]
    (frame_s, enter), *_ = play(rule_set(zone()), frames)
    assert frame_s == pytest.approx(0.8)
    assert happened_s(enter) == pytest.approx(0.3)


def test_a_track_that_is_never_confirmed_says_nothing():
    assert play(rule_set(zone(dwell_s=0.2)), [(track((0.5, 0.5), state=TENTATIVE),)] * 9) == []


def test_predicted_places_of_a_lost_track_do_not_count():
    frames = [(track((0.5, 0.5)),)] * 2 + [(track((0.9, 0.5), state=LOST),)] * 3
    events = play(rule_set(zone()), [*frames, (track((0.5, 0.5)),)])
    assert [event.type for _, event in events] == ["zone.enter", "zone.exit"]
    assert events[1][1].attributes["reason"] == "run_ended"


def test_a_track_that_is_given_up_leaves_when_it_was_last_seen():
    frames = [(track((0.5, 0.5)),)] * 6 + [(track((0.5, 0.5), state=LOST),)] * 5 + [()]
    _, (frame_s, left) = play(rule_set(zone()), frames)
    assert frame_s == pytest.approx(2.2)
    assert happened_s(left) == pytest.approx(1.0)
    assert left.attributes["lost"] is True
    assert left.attributes["duration_s"] == pytest.approx(1.0)


def test_a_second_entry_is_a_second_event():
    there_and_back = [(0.1, 0.5), (0.5, 0.5), (0.1, 0.5), (0.5, 0.5), (0.1, 0.5)]
    events = walk(rule_set(zone()), there_and_back)
    assert [event.type for event in events] == ["zone.enter", "zone.exit"] * 2
    assert len({event.event_id for event in events}) == 4
    assert len({event.episode_id for event in events}) == 4


@pytest.mark.parametrize("dwell_s", [0.4, 1.0, 3.14])
def test_dwell_begins_at_the_first_frame_that_has_stayed_long_enough(dwell_s):
    feet = [(0.2, 0.5)] + [(0.5, 0.5)] * 40 + [(0.9, 0.5)]
    frames = [(track(foot),) for foot in feet]
    events = play(rule_set(zone(dwell_s=dwell_s, update_s=1.5)), frames)
    entered_s = 0.2 / 3
    dwells = [(frame_s, event) for frame_s, event in events if event.type == "zone.dwell"]
    due = entered_s + dwell_s
    first_s, first = dwells[0]
    assert first.phase is Phase.NEW
    assert first_s == pytest.approx(0.2 * math.ceil(due / 0.2 - 1e-9))
    assert happened_s(first) == pytest.approx(due)
    assert [event.phase for _, event in dwells[1:-1]] == [Phase.UPDATE] * (len(dwells) - 2)
    last = dwells[-1][1]
    assert last.phase is Phase.END
    assert last.attributes["reason"] == "left"
    assert happened_s(last) - entered_s == pytest.approx(last.attributes["duration_s"], abs=1e-3)
    assert len({event.episode_id for _, event in dwells}) == 1
    assert len({event.event_id for _, event in dwells}) == len(dwells)


def test_dwell_counts_the_time_in_which_an_object_was_hidden_but_not_time_after_it_was_seen():
    seen, hidden = (track((0.5, 0.5)),), (track((0.5, 0.5), state=LOST),)
    back = play(rule_set(zone(dwell_s=1.0)), [seen, seen, *[hidden] * 6, seen])
    assert [(e.type, e.phase.value) for _, e in back][:2] == [
        ("zone.enter", "new"),
        ("zone.dwell", "new"),
    ]
    gone = play(rule_set(zone(dwell_s=1.0)), [seen, seen, *[hidden] * 6, ()])
    assert [e.type for _, e in gone] == ["zone.enter", "zone.exit"]


def test_classes_and_least_score_choose_the_objects():
    cars = zone(classes=("car",), min_score=0.5)
    assert play(rule_set(cars), [(track((0.5, 0.5)),)] * 3) == []
    assert play(rule_set(cars), [(track((0.5, 0.5), class_id=1, score=0.4),)] * 3) == []
    flicker = [(track((0.5, 0.5), class_id=1, score=s),) for s in (0.4, 0.6, 0.3, 0.3)]
    assert [e.type for _, e in play(rule_set(cars), flicker)] == ["zone.enter", "zone.exit"]


def test_an_object_of_the_right_class_once_it_is_recognised_enters_at_its_true_time():
    frames = [(track((0.5, 0.5), class_id=c),) for c in (0, 0, 0, 1, 1)]
    (frame_s, enter), _ = play(rule_set(zone(classes=("car",))), frames)
    assert frame_s == pytest.approx(0.6)
    assert happened_s(enter) == 0.0


def test_a_zone_narrower_than_the_hysteresis_can_still_be_entered():
    strip = (Point(0.1, 0.5), Point(0.9, 0.5), Point(0.9, 0.51), Point(0.1, 0.51))
    events = walk(rule_set(zone(strip, hysteresis=0.2)), [(0.5, 0.4), (0.5, 0.505), (0.5, 0.6)])
    assert [event.type for event in events] == ["zone.enter", "zone.exit"]


def polygons():
    def ordered(corners):
        middle = np.mean(corners, axis=0)
        return tuple(sorted(corners, key=lambda p: math.atan2(p.y - middle[1], p.x - middle[0])))

    return st.lists(corner, min_size=3, max_size=7, unique=True).map(ordered)


@given(polygons(), st.lists(corner, min_size=2, max_size=40))
def test_without_hysteresis_events_are_the_changes_from_frame_to_frame(polygon, feet):
    events = play(rule_set(zone(polygon, hysteresis=0.0)), [(track(foot),) for foot in feet])
    inside = [
        ZoneField([polygon]).inside(np.array([[0.5 * (t[0] + t[2]), t[3]]]))[0][0]
        for t in (track(foot).xyxy for foot in feet)
    ]
    changes = [
        (0.2 * n, "zone.enter" if now else "zone.exit")
        for n, (before, now) in enumerate(pairwise([False, *inside]))
        if before != now
    ]
    ended = [(0.2 * (len(feet) - 1), "zone.exit")] if inside[-1] else []
    assert [(frame_s, e.type) for frame_s, e in events] == [
        (pytest.approx(s), kind) for s, kind in changes + ended
    ]
    for frame_s, event in events:
        at_s = happened_s(event)
        assert frame_s - 0.2 - 1e-6 <= at_s <= frame_s + 1e-6
        if event.attributes.get("reason", "left") == "left" and not event.attributes.get(
            "appeared"
        ):
            part = at_s / 0.2 % 1.0 or 1.0
            first = math.ceil(round(at_s / 0.2, 6)) - 1
            place = np.array(feet[first]) * (1 - part) + np.array(feet[first + 1]) * part
            assert distance(Point(*place), closed(polygon)) < 1e-4


@settings(max_examples=60)
@given(
    polygons(),
    st.floats(0.0, 0.05),
    st.floats(0.0, 1.0),
    st.lists(
        st.lists(
            st.tuples(corner, st.sampled_from(["confirmed", "lost", "tentative", "absent"])),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_every_enter_has_its_exit_and_every_dwell_its_end(polygon, hysteresis, dwell_s, frames):
    scene, confirmed = [], set()
    ids = [1, 2, 3]
    for frame in frames:
        tracks = []
        for slot, (foot, state) in enumerate(frame):
            track_id = ids[slot]
            if state == "absent":
                ids[slot] += 3  # ids are unique in a run
                continue
            if track_id not in confirmed and state == "lost":
                state = "tentative"
            if state == "confirmed":
                confirmed.add(track_id)
            elif track_id in confirmed:
                state = "lost"
            tracks.append(track(foot, track_id=track_id, state=type(track(foot).state)(state)))
        scene.append(tuple(tracks))
    rule = zone(polygon, hysteresis=hysteresis, dwell_s=dwell_s, update_s=0.5)
    events = [event for _, event in play(rule_set(rule), scene)]
    assert len({event.event_id for event in events}) == len(events)
    by_track = sorted(events, key=lambda event: event.track_id)  # stable
    for _, own in groupby(by_track, key=lambda event: event.track_id):
        own = list(own)
        crossings = [e.type for e in own if e.type != "zone.dwell"]
        assert crossings == ["zone.enter", "zone.exit"] * (len(crossings) // 2)
        dwells = [(e.episode_id, e.phase) for e in own if e.type == "zone.dwell"]
        for _, episode in groupby(dwells, key=lambda dwell: dwell[0]):
            phases = [phase for _, phase in episode]
            assert phases[0] is Phase.NEW
            assert phases[-1] is Phase.END
            assert all(phase is Phase.UPDATE for phase in phases[1:-1])
    assert [e.event_id for _, e in play(rule_set(rule), scene)] == [e.event_id for e in events]


def test_states_of_tracks_that_are_gone_are_forgotten():
    rules = rule_set(zone(dwell_s=1.0))
    for frame in range(500):
        rules.advance(moment(0.2 * frame), (track((0.5, 0.5), track_id=frame),))
    assert len(rules._subjects) == 1
    assert len(rules._areas[0].area._stays) == 1

"""Truth events from foot points whose crossings are known by arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.accuracy.events import score_events
from vigil.data import Track, TrackState
from vigil.rules import Moment, RuleSet
from vigil.scene.compose import SceneObject
from vigil.scene.foot_paths import IN_VIEW, inside
from vigil.scene.truth import TruthEvent, truth_events
from vigil.spec import Direction, LineRule, Point, Rule, ZoneRule

LOWER = ZoneRule(
    rule_id="lower", polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1)), dwell_s=2.0
)
MIDDLE = LineRule(rule_id="middle", points=(Point(0, 0.5), Point(1, 0.5)))
FPS = 25


def walker(
    feet: list[tuple[float, float]],
    *,
    object_id: int = 1,
    name: str = "person",
    in_view: float = 1.0,
) -> list[tuple[float, list[SceneObject]]]:
    moments = []
    for index, (x, y) in enumerate(feet):
        box = (x - 0.02, y - 0.2, x + 0.02, y)
        moments.append((index / FPS, [SceneObject(object_id, name, box, 1.0, in_view)]))
    return moments


def straight(
    start: tuple[float, float], end: tuple[float, float], seconds: float
) -> list[tuple[float, float]]:
    steps = int(seconds * FPS)
    return [tuple(np.add(start, np.subtract(end, start) * i / steps)) for i in range(steps + 1)]


def kinds(events: list[TruthEvent]) -> list[tuple[str, str, bool]]:
    return [(event.type, event.direction, event.required) for event in events]


def test_down_across_an_arrow_to_the_right_is_right_and_enters_the_zone_below() -> None:
    feet = straight((0.5, 0.3), (0.5, 0.7), 4.0)
    events = truth_events(walker(feet), [LOWER, MIDDLE])
    assert sorted(kinds(events)[:2]) == [("line.cross", "right", True), ("zone.enter", "", True)]
    assert [event.time_s for event in events[:2]] == pytest.approx([2.0, 2.0], abs=0.05)


def test_upward_is_left_and_leaves() -> None:
    feet = straight((0.5, 0.7), (0.5, 0.3), 6.0)
    events = truth_events(walker(feet), [LOWER, MIDDLE])
    assert ("line.cross", "left", True) in kinds(events)
    assert ("zone.exit", "", True) in kinds(events)


def test_the_arrow_turned_round_turns_the_direction_round() -> None:
    turned = LineRule(rule_id="turned", points=MIDDLE.points[::-1])
    feet = straight((0.5, 0.3), (0.5, 0.7), 4.0)
    assert [event.direction for event in truth_events(walker(feet), [turned])] == ["left"]


def test_only_the_wanted_direction_and_class_count() -> None:
    only_left = LineRule(rule_id="a", points=MIDDLE.points, direction=Direction.LEFT)
    only_cars = LineRule(rule_id="b", points=MIDDLE.points, classes=("car",))
    feet = straight((0.5, 0.3), (0.5, 0.7), 4.0)
    assert truth_events(walker(feet), [only_left, only_cars]) == []
    assert len(truth_events(walker(feet, name="car"), [only_cars])) == 1


@pytest.mark.parametrize(("depth", "required"), [(0.006, False), (0.03, True)])
def test_a_short_visit_counts_where_it_goes_past_the_hysteresis(
    depth: float, required: bool
) -> None:
    feet = straight((0.2, 0.45), (0.5, 0.499), 2.0) + [(0.5, 0.5 + depth)] * 15
    feet += straight((0.5, 0.499), (0.8, 0.45), 2.0)
    visit = [e for e in truth_events(walker(feet), [LOWER]) if e.type != "zone.dwell"]
    assert kinds(visit) == [("zone.enter", "", required), ("zone.exit", "", required)]


def test_a_foot_that_swings_over_the_line_and_back_has_not_crossed() -> None:
    feet = straight((0.2, 0.45), (0.5, 0.495), 2.0)
    feet += [(0.5, 0.505)] * 4 + straight((0.5, 0.495), (0.8, 0.45), 2.0)
    events = truth_events(walker(feet), [LOWER, MIDDLE])
    assert not any(event.required for event in events)  # it may be told, and need not


def test_beside_the_end_of_a_line_is_no_crossing() -> None:
    short = LineRule(rule_id="short", points=(Point(0.2, 0.5), Point(0.4, 0.5)))
    assert truth_events(walker(straight((0.5, 0.3), (0.5, 0.7), 4.0)), [short]) == []


def test_appearing_inside_and_leaving_the_picture_inside_are_optional() -> None:
    feet = straight((0.2, 0.7), (0.4, 0.7), 1.5)
    assert kinds(truth_events(walker(feet), [LOWER])) == [
        ("zone.enter", "", False),
        ("zone.exit", "", False),
    ]


def test_dwell_is_due_once_after_the_time() -> None:
    feet = straight((0.5, 0.4), (0.5, 0.6), 4.0) + [(0.5, 0.6)] * 50
    dwells = [e for e in truth_events(walker(feet), [LOWER]) if e.type == "zone.dwell"]
    assert [event.time_s for event in dwells] == pytest.approx([4.0], abs=0.05)


def test_an_object_hardly_in_view_does_nothing() -> None:
    feet = straight((0.5, 0.3), (0.5, 0.7), 4.0)
    assert truth_events(walker(feet, in_view=IN_VIEW / 2), [LOWER, MIDDLE]) == []


def test_an_event_soon_after_coming_into_view_is_optional() -> None:
    feet = straight((0.5, 0.46), (0.5, 0.7), 3.0)
    assert kinds(truth_events(walker(feet), [MIDDLE])) == [("line.cross", "right", False)]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_inside_agrees_with_a_rectangle(points: list[tuple[float, float]]) -> None:
    box = (Point(0.25, 0.3), Point(0.75, 0.3), Point(0.75, 0.8), Point(0.25, 0.8))
    xy = np.array(points)
    clear = (abs(xy - (0.25, 0.3)) > 1e-9).all(1) & (abs(xy - (0.75, 0.8)) > 1e-9).all(1)
    expected = ((xy > (0.25, 0.3)) & (xy < (0.75, 0.8))).all(axis=1)
    assert (inside(box, xy) == expected)[clear].all()


def test_truth_and_rules_agree_on_exact_tracks() -> None:
    """vigil.rules, given exact boxes, must say what the truth says, from code written apart."""

    rules: tuple[Rule, ...] = (LOWER, MIDDLE)
    rng = np.random.default_rng(3)
    moments: dict[float, list[SceneObject]] = {}
    for object_id in range(12):
        feet = straight((0.1 + 0.06 * object_id, 0.3), (rng.uniform(0.2, 0.8), 0.8), 5.0)
        feet += straight(feet[-1], (rng.uniform(0.2, 0.8), 0.25), 6.0)
        for time_s, objects in walker(feet, object_id=object_id):
            moments.setdefault(round(time_s + object_id, 3), []).extend(objects)
    ordered = sorted(moments.items())
    ruleset = RuleSet(rules, stream_id="s", run=1, class_names=("person",), labels={})
    published = []
    for time_s, objects in ordered:
        tracks = tuple(
            Track(o.object_id, o.xyxy, 0, 0.9, TrackState.CONFIRMED, (0.0, 0.0), 9) for o in objects
        )
        published += ruleset.advance(Moment(time_s, time_s, time_s), tracks)
    scores = score_events(truth_events(ordered, rules), published, start_s=0.0)
    assert scores.recall.of == 12 * 5
    assert scores.recall.value == scores.precision.value == 1.0
    assert abs(scores.delay_s) < 0.05


def test_who_stands_below_the_picture_is_in_a_zone_that_reaches_its_border() -> None:
    lower = (Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0), Point(0.0, 1.0))
    feet = np.array([[0.5, 1.0], [1.0, 0.7], [0.0, 1.0], [0.5, 0.49]])
    assert inside(lower, feet).tolist() == [True, True, True, False]

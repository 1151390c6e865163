import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.spec import (
    Direction,
    LineRule,
    MarkerRule,
    Point,
    Rule,
    Source,
    StreamSpec,
    TrackRule,
    ZoneRule,
    violations,
)

SQUARE = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))


def spec(**changes: Any) -> StreamSpec:
    source = Source(uri="rtsp://camera.example/live")
    return msgspec.structs.replace(StreamSpec(stream_id="gate", source=source), **changes)


def fields(**changes: Any) -> list[str]:
    return [violation.field for violation in violations(spec(**changes))]


def rule_fields(rule: Rule) -> list[str]:
    return fields(rules=(rule,))


def test_every_kind_of_rule_is_taken() -> None:
    rules = (
        ZoneRule(rule_id="zone", polygon=SQUARE, dwell_s=3.0),
        LineRule(rule_id="line", points=SQUARE[:2], direction=Direction.LEFT),
        TrackRule(rule_id="track"),
        MarkerRule(rule_id="marker"),
    )
    assert violations(spec(rules=rules, labels={"a": "b"}, privacy_masks=(SQUARE,))) == []


@pytest.mark.parametrize("stream_id", ["a", "0", "gate-1_b", "x" * 63])
def test_ids_are_lower_case_letters_digits_dashes_and_underscores(stream_id: str) -> None:
    assert fields(stream_id=stream_id) == []


@pytest.mark.parametrize(
    "stream_id", ["", "-a", "_a", "A", "a b", "a/b", "../a", "a\n", "ä", "x" * 64, "a\0"]
)
def test_other_ids_are_refused(stream_id: str) -> None:
    assert fields(stream_id=stream_id) == ["stream_id"]
    assert rule_fields(MarkerRule(rule_id=stream_id)) == ["rules[0].rule_id"]


@pytest.mark.parametrize("value", [0.0, -1.0, 60.1, math.nan, math.inf, -math.inf])
def test_rates_outside_their_range_are_refused(value: float) -> None:
    assert fields(detect_fps=value) == ["detect_fps"]
    source = Source(uri="push:", folder_fps=value)
    assert fields(source=source) == ["source.folder_fps"]


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_scores_outside_their_range_are_refused(value: float) -> None:
    assert fields(min_score=value) == ["min_score"]
    assert rule_fields(TrackRule(rule_id="a", min_score=value)) == ["rules[0].min_score"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.001, 1.001])
def test_coordinates_outside_the_picture_are_refused_each_by_name(value: float) -> None:
    polygon = (*SQUARE[:2], Point(value, 0.5), Point(0.5, value))
    assert rule_fields(ZoneRule(rule_id="a", polygon=polygon))[:2] == [
        "rules[0].zone.polygon[2].x",
        "rules[0].zone.polygon[3].y",
    ]
    assert rule_fields(LineRule(rule_id="a", points=polygon)) == [
        "rules[0].line.points[2].x",
        "rules[0].line.points[3].y",
    ]
    assert fields(privacy_masks=(SQUARE, polygon))[0] == "privacy_masks[1].points[2].x"


def test_a_zone_needs_three_corners_and_an_area() -> None:
    for polygon in (
        (),
        SQUARE[:1],
        SQUARE[:2],
        (SQUARE[0],) * 4,
        (SQUARE[0], SQUARE[2], SQUARE[0]),
    ):
        assert "rules[0].zone.polygon" in rule_fields(ZoneRule(rule_id="a", polygon=polygon))


def test_a_line_needs_two_ends_apart() -> None:
    for points in ((), SQUARE[:1], (SQUARE[0],) * 2):
        assert rule_fields(LineRule(rule_id="a", points=points)) == ["rules[0].line.points"]


def test_too_many_of_anything_are_refused() -> None:
    assert fields(rules=tuple(MarkerRule(rule_id=f"r{n}") for n in range(65))) == ["rules"]
    assert fields(labels={str(n): "" for n in range(33)}) == ["labels"]
    assert fields(classes=("person",) * 1001) == ["classes"]
    assert rule_fields(LineRule(rule_id="a", points=SQUARE * 17)) == ["rules[0].line.points"]


def test_texts_are_bounded() -> None:
    assert fields(labels={"": "empty key"}) == ["labels"]
    assert fields(labels={"k" * 129: ""}) == ["labels"]
    assert fields(labels={"k": "v" * 1025}) == ["labels"]
    assert fields(classes=("c" * 129,)) == ["classes"]
    assert rule_fields(TrackRule(rule_id="a", classes=("",))) == ["rules[0].classes"]


@pytest.mark.parametrize("model", ["../x", "a/b", "/etc", "A", "x" * 64])
def test_a_model_is_a_name_never_a_path(model: str) -> None:
    assert fields(model=model) == ["model"]


@pytest.mark.parametrize("priority", [0, -1, 11])
def test_priority_is_from_one_to_ten(priority: int) -> None:
    assert fields(priority=priority) == ["priority"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e9])
def test_times_are_finite_and_not_negative(value: float) -> None:
    zone = ZoneRule(rule_id="a", polygon=SQUARE, dwell_s=value, update_s=value)
    assert rule_fields(zone) == ["rules[0].zone.dwell", "rules[0].zone.update_interval"]
    assert rule_fields(TrackRule(rule_id="a", update_s=value)) == ["rules[0].track.update_interval"]


@pytest.mark.parametrize("value", [math.nan, -0.1, 0.21])
def test_hysteresis_is_a_small_fraction_of_the_picture(value: float) -> None:
    zone = ZoneRule(rule_id="a", polygon=SQUARE, hysteresis=value)
    line = LineRule(rule_id="b", points=SQUARE, hysteresis=value)
    assert fields(rules=(zone, line)) == ["rules[0].zone.hysteresis", "rules[1].line.hysteresis"]


def test_a_rule_id_is_used_once_in_a_stream() -> None:
    assert fields(rules=(MarkerRule(rule_id="a"), TrackRule(rule_id="a"))) == ["rules[1].rule_id"]


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=70))
def test_any_geometry_is_judged_without_an_exception(points: list[tuple[float, float]]) -> None:
    polygon = tuple(Point(x, y) for x, y in points)
    found = rule_fields(ZoneRule(rule_id="a", polygon=polygon))
    inside = all(0.0 <= value <= 1.0 for point in points for value in point)
    assert found or (inside and 3 <= len(points) <= 64)

"""Marks are where they should be; the picture given is left alone."""

import numpy as np
import pytest

from vigil.data import Detections, Event, Phase, Track, TrackState
from vigil.draw import EventLabels, Overlay, Trails, annotate
from vigil.draw.history import describe
from vigil.draw.ink import pen_for, text_size, track_colour
from vigil.spec import (
    Direction,
    LineRule,
    OccupancyRule,
    Point,
    StationaryRule,
    TrafficRule,
    ZoneRule,
)

GREY = np.full((360, 640, 3), 120, np.uint8)


def track(track_id: int = 1, state: TrackState = TrackState.CONFIRMED) -> Track:
    return Track(track_id, (0.4, 0.3, 0.5, 0.8), 0, 0.9, state, (0.0, 0.0), 5)


def event(kind: str, phase: Phase = Phase.NEW, **attributes: str) -> Event:
    return Event(
        event_id="e", episode_id="p", type=kind, phase=phase, stream_id="s", run=1, rule_id="gate",
        track_id=4, class_name="person", score=0.9, bbox=(0.4, 0.3, 0.5, 0.8), occurred_at_s=0.0,
        captured_s=0.0, labels={}, attributes=dict(attributes),
    )  # fmt: skip


def test_the_picture_given_is_not_changed() -> None:
    image = GREY.copy()
    drawn = annotate(image, tracks=[track()], class_names=["person"])
    assert (image == GREY).all()
    assert (drawn != GREY).any()


def test_a_box_is_drawn_in_its_tracks_colour() -> None:
    drawn = annotate(GREY, tracks=[track(3)], class_names=["person"])
    row = drawn[round(0.55 * 359), round(0.4 * 639)]
    assert tuple(row) == track_colour(3)


@pytest.mark.parametrize(("height", "width"), [(360, 640), (1080, 1920), (2160, 3840), (48, 64)])
def test_text_grows_with_the_picture_and_everything_fits(height: int, width: int) -> None:
    image = np.full((height, width, 3), 90, np.uint8)
    rules = (
        ZoneRule(rule_id="z", polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1))),
        LineRule(rule_id="l", points=(Point(0, 0.2), Point(1, 0.9)), direction=Direction.LEFT),
    )
    labels = EventLabels()
    labels.add([event("zone.enter")], 1.0)
    drawn = annotate(
        image, tracks=[track()], class_names=["person"], rules=rules,
        overlay=Overlay({1: [Point(0.1, 0.1), Point(0.3, 0.9), Point(0.5, 0.8)]}, labels.labels(1.2)),
    )  # fmt: skip
    assert drawn.shape == image.shape
    pen = pen_for(height, width)
    assert pen.text >= 9
    assert text_size("person", pen.text)[1] >= pen.text


def test_zones_are_tinted_inside_only() -> None:
    zone = ZoneRule(rule_id="z", polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1)))
    drawn = annotate(GREY, class_names=[], rules=[zone])
    assert (drawn[:160] == 120).all()
    assert (drawn[300, 300] != 120).any()


def test_every_rule_with_an_area_or_a_line_is_drawn() -> None:
    half = (Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1))
    for rule in (
        OccupancyRule(rule_id="o", polygon=half, above=1.0),
        StationaryRule(rule_id="s", polygon=half, duration_s=9.0),
        TrafficRule(rule_id="t", points=(Point(0, 0.8), Point(1, 0.8)), above=1.0),
    ):
        drawn = annotate(GREY, class_names=[], rules=[rule])
        assert (drawn[:160] == 120).all()
        assert (drawn[250:] != 120).any()
    whole = annotate(GREY, class_names=[], rules=[OccupancyRule(rule_id="o", above=1.0)])
    assert (whole == GREY).all()  # the whole picture has no outline


def test_detections_are_drawn_with_their_class_even_an_unknown_one() -> None:
    found = Detections(
        xyxy=np.array([[0.2, 0.2, 0.4, 0.6]], np.float32),
        score=np.array([0.7], np.float32),
        class_id=np.array([9]),
    )
    assert (annotate(GREY, detections=found, class_names=["person"]) != GREY).any()


def test_trails_forget_tracks_that_are_gone_and_points_that_are_old() -> None:
    trails = Trails(keep_s=1.0)
    trails.add([track()], 0.0)
    trails.add([track()], 0.8)
    trails.add([track()], 1.5)
    assert len(trails.points()[1]) == 2
    trails.add([track(state=TrackState.LOST)], 1.6)
    assert len(trails.points()[1]) == 2
    trails.add([], 1.7)
    assert trails.points() == {}


def test_event_labels_fade_and_vanish() -> None:
    labels = EventLabels(keep_s=2.0)
    labels.add([event("line.cross", direction="left"), event("zone.dwell", Phase.END)], 10.0)
    fresh, old = labels.labels(10.0), labels.labels(11.0)
    assert [label.text for label in fresh] == ["person 4 crossed gate, left"]
    assert fresh[0].freshness > old[0].freshness
    assert labels.labels(12.5) == []


def test_an_unknown_type_is_described_by_its_name() -> None:
    assert describe(event("object.left")) == "person 4 object.left gate"

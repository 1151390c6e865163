"""One call that puts everything on a picture, back to front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from vigil.data import U8, Detections, Track, TrackState
from vigil.draw.geometry import draw_rules, pixels
from vigil.draw.history import EventLabel
from vigil.draw.ink import BLACK, CLASS_COLOURS, WHITE, Bgr, Pen, pen_for, plate, track_colour
from vigil.spec import Point, Rule

_EVENT_BACK: Bgr = (40, 40, 40)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a video's frame bears besides its tracks and rules."""

    trails: Mapping[int, Sequence[Point]] = field(default_factory=dict)
    labels: Sequence[EventLabel] = ()


_NOTHING = Overlay()


def annotate(
    image: U8,
    *,
    tracks: Sequence[Track] = (),
    detections: Detections | None = None,
    class_names: Sequence[str],
    rules: Sequence[Rule] = (),
    overlay: Overlay = _NOTHING,
) -> U8:
    """A copy of the picture with zones, lines, trails, boxes and event labels.

    image is (H, W, 3) uint8 BGR. Boxes of tracks and detections are normalised xyxy. Tracks are coloured
    by id, detections by class; a lost track's predicted box is thin, a tentative one has no label.
    Confirmed tracks stand for the detections that they follow: give one or the other.
    """
    drawn = image.copy()
    pen = pen_for(*image.shape[:2])
    draw_rules(drawn, rules, pen)
    for track_id, trail in overlay.trails.items():
        _trail(drawn, trail, track_colour(track_id), pen)
    if detections is not None:
        for box, score, class_id in zip(
            detections.xyxy.tolist(),
            detections.score.tolist(),
            detections.class_id.tolist(),
            strict=True,
        ):
            name = _name(class_names, class_id)
            colour = CLASS_COLOURS.get(name, WHITE)
            _box(drawn, tuple(box), colour, pen.line)
            _tag(drawn, tuple(box), f"{name} {score:.2f}", colour, pen)
    for track in sorted(tracks, key=lambda track: track.xyxy[3]):
        _track(drawn, track, class_names, pen)
    _labels(drawn, overlay.labels, pen)
    return drawn


def _name(class_names: Sequence[str], class_id: int) -> str:
    return class_names[class_id] if 0 <= class_id < len(class_names) else f"class {class_id}"


def _corners(image: U8, xyxy: Box) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    scale = np.array([width - 1, height - 1, width - 1, height - 1])
    x0, y0, x1, y1 = np.rint(np.clip(np.asarray(xyxy), 0, 1) * scale).astype(int).tolist()
    return x0, y0, x1, y1


def _box(image: U8, xyxy: Box, colour: Bgr, width_px: int) -> None:
    x0, y0, x1, y1 = _corners(image, xyxy)
    # A dark rim keeps the box visible on a picture of its own colour.
    cv2.rectangle(image, (x0, y0), (x1, y1), BLACK, width_px + 2, cv2.LINE_AA)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, width_px)


def _tag(image: U8, xyxy: Box, text: str, colour: Bgr, pen: Pen) -> None:
    x0, y0, _, _ = _corners(image, xyxy)
    plate(image, text, (x0, y0), back=colour, pen=pen)


def _track(image: U8, track: Track, class_names: Sequence[str], pen: Pen) -> None:
    colour = track_colour(track.track_id)
    if track.state is not TrackState.CONFIRMED:
        x0, y0, x1, y1 = _corners(image, track.xyxy)
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 1)
        return
    _box(image, track.xyxy, colour, pen.line)
    name = _name(class_names, track.class_id)
    _tag(image, track.xyxy, f"{name} {track.track_id}  {track.score:.2f}", colour, pen)


def _trail(image: U8, trail: Sequence[Point], colour: Bgr, pen: Pen) -> None:
    """A trail that grows thicker and stronger towards now."""
    if len(trail) < 2:
        return
    points = pixels(trail, image)
    count = len(points) - 1
    for index in range(count):
        age = (index + 1) / count
        dim = (round(colour[0] * age), round(colour[1] * age), round(colour[2] * age))
        ends = [(int(x), int(y)) for x, y in points[index : index + 2]]
        cv2.line(image, ends[0], ends[1], dim, max(1, round(pen.line * 2 * age)), cv2.LINE_AA)


def _labels(image: U8, labels: Sequence[EventLabel], pen: Pen) -> None:
    """Events as a list at the lower left, newest lowest, and a mark on their object."""
    height, _ = image.shape[:2]
    bottom = height - pen.pad
    for label in reversed(labels):
        opacity = float(np.clip(label.freshness * 2, 0.0, 1.0)) * 0.9
        _, top, _, _ = plate(
            image, label.text, (pen.pad, bottom), back=_EVENT_BACK, pen=pen, opacity=opacity
        )
        bottom = top - max(1, pen.pad // 2)
        if label.xyxy is not None and label.freshness > 0.5:
            x0, _, x1, y1 = _corners(image, label.xyxy)
            centre = ((x0 + x1) // 2, y1)
            cv2.circle(
                image,
                centre,
                round(pen.text * (1.6 - label.freshness)),
                WHITE,
                pen.line,
                cv2.LINE_AA,
            )
        if bottom < height // 3:
            return

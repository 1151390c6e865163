"""Zones and lines: translucent areas, and arrows towards the side that counts as right."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np

from vigil.data import U8
from vigil.draw.ink import LINE_COLOUR, ZONE_COLOURS, Pen, plate
from vigil.spec import (
    AreaRule,
    Direction,
    LineRule,
    Point,
    Rule,
    StationaryRule,
    TrafficRule,
    ZoneRule,
)

Pixels = np.ndarray[tuple[int, int], np.dtype[np.int32]]
Area: TypeAlias = ZoneRule | AreaRule | StationaryRule
_FILL = 0.16  # how much of a zone's colour its area takes


def draw_rules(image: U8, rules: Sequence[Rule], pen: Pen) -> None:
    """Draw the area of every rule that has one, then every line, in place."""
    areas = [rule for rule in rules if isinstance(rule, Area) and rule.polygon]
    for index, area in enumerate(areas):
        _zone(image, area, ZONE_COLOURS[index % len(ZONE_COLOURS)], pen)
    for rule in rules:
        if isinstance(rule, LineRule | TrafficRule):
            _line(image, rule, pen)


def pixels(points: Sequence[Point], image: U8) -> Pixels:
    """Normalised points as (N, 2) whole pixels."""
    height, width = image.shape[:2]
    scaled = np.array([(x * (width - 1), y * (height - 1)) for x, y in points])
    whole: Pixels = np.rint(scaled).astype(np.int32).reshape(-1, 2)
    return whole


def _zone(image: U8, zone: Area, colour: tuple[int, int, int], pen: Pen) -> None:
    corners = pixels(zone.polygon, image)
    x, y, width, height = cv2.boundingRect(corners)
    part = image[max(y, 0) : y + height, max(x, 0) : x + width]
    filled = part.copy()
    cv2.fillPoly(filled, [corners - (x, y)], colour)
    cv2.addWeighted(filled, _FILL, part, 1 - _FILL, 0, dst=part)
    cv2.polylines(image, [corners], True, colour, pen.line, cv2.LINE_AA)
    # The name goes inside the zone, at the upper left of its outline.
    first = corners[np.argmin(corners.sum(axis=1))]
    down = round(pen.text * 1.25) + pen.pad * 3
    plate(
        image, zone.rule_id, (int(first[0]) + pen.pad, int(first[1]) + down), back=colour, pen=pen
    )


def _line(image: U8, line: LineRule | TrafficRule, pen: Pen) -> None:
    points = pixels(line.points, image)
    cv2.polylines(image, [points], False, LINE_COLOUR, pen.line * 2, cv2.LINE_AA)
    for end in (points[0], points[-1]):
        cv2.circle(image, (int(end[0]), int(end[1])), pen.line * 3, LINE_COLOUR, -1, cv2.LINE_AA)
    longest = int(np.argmax(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    a, b = points[longest].astype(float), points[longest + 1].astype(float)
    along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
    right = np.array([-along[1], along[0]])  # y points down: this is to the arrow's right
    middle = (a + b) / 2
    reach = pen.text * 1.8
    if line.direction in (Direction.BOTH, Direction.RIGHT):
        _arrow(image, middle, middle + right * reach, pen)
    if line.direction in (Direction.BOTH, Direction.LEFT):
        _arrow(image, middle, middle - right * reach, pen)
    at = middle + along * pen.text
    plate(image, line.rule_id, (int(at[0]), int(at[1]) - pen.pad), back=LINE_COLOUR, pen=pen)


def _arrow(
    image: U8,
    start: np.ndarray[tuple[int], np.dtype[np.float64]],
    end: np.ndarray[tuple[int], np.dtype[np.float64]],
    pen: Pen,
) -> None:
    ends = [(round(float(x)), round(float(y))) for x, y in (start, end)]
    cv2.arrowedLine(image, ends[0], ends[1], LINE_COLOUR, pen.line * 2, cv2.LINE_AA, 0, 0.35)

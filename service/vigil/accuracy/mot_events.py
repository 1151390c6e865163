"""Events that truly happen in a labelled video, for rules drawn at random where its objects walk."""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.accuracy.tracking import Identified
from vigil.errors import InvalidConfig
from vigil.scene.compose import SceneObject
from vigil.spec import LineRule, Point, Rule, ZoneRule

F64 = NDArray[np.float64]

LEAST_LENGTH = 0.2  # of a line, in fractions of the picture
LEAST_AREA = 0.01  # of a zone
ZONE_RADIUS = (0.08, 0.25)
MOST_TRIES = 10_000  # for one rule; a path along one line leaves no room


def labelled_moments(
    labels: Mapping[int, Identified], *, size_px: tuple[int, int], fps: float
) -> Iterator[tuple[float, list[SceneObject]]]:
    """Every labelled frame's time and its people; frame 1 is at 0 s."""
    scale = np.array([*size_px, *size_px], np.float64)
    for number in sorted(labels):
        frame = labels[number]
        yield (
            (number - 1) / fps,
            [
                SceneObject(
                    object_id=int(who),
                    class_name="person",
                    xyxy=(float(x0), float(y0), float(x1), float(y1)),
                    visible=1.0,
                    in_view=1.0,
                )
                for who, (x0, y0, x1, y1) in zip(frame.number, frame.xyxy / scale, strict=True)
            ],
        )


def foot_points(labels: Mapping[int, Identified], *, size_px: tuple[int, int]) -> F64:
    """All labelled foot points, (N, 2) normalised."""
    boxes = np.concatenate([frame.xyxy for frame in labels.values()])
    feet = np.stack(((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), axis=1)
    return np.asarray(feet / np.array(size_px))


def random_rules(feet: F64, *, count: int, seed: int) -> tuple[Rule, ...]:
    """Lines and zones in turn, ``count`` in all, within the hull of where people stood."""
    rng = np.random.default_rng(seed)
    hull = np.asarray(cv2.convexHull(feet.astype(np.float32)), np.float32)
    rules: list[Rule] = []
    for number in range(count):
        line = number % 2 == 0
        points = _shape(rng, feet, hull, line=line)
        if line:
            rules.append(LineRule(rule_id=f"line-{number}", points=points))
        else:
            rules.append(ZoneRule(rule_id=f"zone-{number}", polygon=points))
    return tuple(rules)


def _shape(
    rng: np.random.Generator, feet: F64, hull: NDArray[np.float32], *, line: bool
) -> tuple[Point, ...]:
    low, high = feet.min(axis=0), feet.max(axis=0)
    for _ in range(MOST_TRIES):
        points = rng.uniform(low, high, (2, 2)) if line else _polygon(rng, low, high)
        large = (
            np.linalg.norm(points[0] - points[1]) >= LEAST_LENGTH
            if line
            else cv2.contourArea(points.astype(np.float32)) >= LEAST_AREA
        )
        if large and all(
            cv2.pointPolygonTest(hull, (float(x), float(y)), measureDist=False) > 0
            for x, y in points
        ):
            return tuple(Point(float(x), float(y)) for x, y in points)
    raise InvalidConfig("the labelled people keep to too small a place for rules at random")


def _polygon(rng: np.random.Generator, low: F64, high: F64) -> F64:
    """Three to six corners around a middle, in order."""
    angles = np.sort(rng.uniform(0.0, 2 * np.pi, rng.integers(3, 7)))
    corners = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    return np.asarray(rng.uniform(low, high) + rng.uniform(*ZONE_RADIUS) * corners)

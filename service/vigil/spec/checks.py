"""Checks of the kinds of value that definitions are made of. Each yields what cannot be accepted."""

import math
import re
from collections.abc import Iterator

from vigil.errors import FieldViolation
from vigil.spec.rules import Point

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
MAX_POINTS = 64
MAX_CLASSES = 1000
MAX_NAME_LENGTH = 128  # of a class or a label's key
MAX_LAPSE_S = 366 * 86400.0  # of dwells and update intervals


def number(value: float) -> str:
    """A number for people, without an exponent up to a trillion: 31622400, not 3.16224e+07."""
    return f"{value:.12g}"


def check_points(field: str, points: tuple[Point, ...], *, least: int) -> Iterator[FieldViolation]:
    """Between ``least`` and MAX_POINTS points, all within the picture."""
    if not least <= len(points) <= MAX_POINTS:
        yield FieldViolation(field, f"has {len(points)} points; give {least} to {MAX_POINTS}")
    for index, (x, y) in enumerate(points):
        for axis, value in (("x", x), ("y", y)):
            if not 0.0 <= value <= 1.0:  # false for NaN, too
                yield FieldViolation(
                    f"{field}[{index}].{axis}",
                    f"is {value:g}; coordinates are fractions of the picture from 0 to 1",
                )


def finite_area(polygon: tuple[Point, ...]) -> float | None:
    """Twice the area within a polygon; None where it has too few points or no finite area."""
    if len(polygon) < 3:
        return None
    shifted = (*polygon[1:], polygon[0])
    area = abs(sum(a.x * b.y - b.x * a.y for a, b in zip(polygon, shifted, strict=True)))
    return area if math.isfinite(area) else None


def check_classes(field: str, classes: tuple[str, ...]) -> Iterator[FieldViolation]:
    """Not too many class names, none too long."""
    if len(classes) > MAX_CLASSES:
        yield FieldViolation(field, f"at most {MAX_CLASSES} classes")
    if any(not 0 < len(name) <= MAX_NAME_LENGTH for name in classes):
        yield FieldViolation(field, f"a class's name is 1 to {MAX_NAME_LENGTH} characters")


def check_score(field: str, value: float) -> Iterator[FieldViolation]:
    """From 0 to 1."""
    if not 0.0 <= value <= 1.0:
        yield FieldViolation(field, f"is {value:g}; scores are from 0 to 1")


def check_seconds(
    field: str, value: float, *, least: float, most: float = MAX_LAPSE_S
) -> Iterator[FieldViolation]:
    """From ``least`` to ``most`` seconds."""
    if not least <= value <= most:  # false for NaN, too
        yield FieldViolation(
            field, f"is {number(value)}; give {number(least)} to {number(most)} seconds"
        )


def check_number(
    field: str, value: float, *, least: float, most: float
) -> Iterator[FieldViolation]:
    """Within these limits, both allowed."""
    if not least <= value <= most:  # false for NaN, too
        yield FieldViolation(field, f"is {number(value)}; give {number(least)} to {number(most)}")


def check_polygon(field: str, polygon: tuple[Point, ...]) -> Iterator[FieldViolation]:
    """At least three corners around some area."""
    yield from check_points(field, polygon, least=3)
    if finite_area(polygon) == 0.0:
        yield FieldViolation(field, "encloses no area; give its corners in order")

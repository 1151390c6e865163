from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.rules.geometry import (
    LineField,
    ZoneField,
    crossings,
    distance,
    inner_edges,
    most_hysteresis,
)
from vigil.spec import Point

SQUARE = (Point(0.2, 0.2), Point(0.8, 0.2), Point(0.8, 0.8), Point(0.2, 0.8))
coordinate = st.floats(0.01, 0.99)
points = st.builds(Point, coordinate, coordinate)
grid = st.builds(Point, *[st.integers(0, 8).map(lambda n: n / 8)] * 2)  # exact, often degenerate


@given(st.lists(points, min_size=3, max_size=8, unique=True), st.lists(points, min_size=1))
def test_inside_agrees_with_opencv_for_polygons_without_self_crossings(corners, feet):
    middle = np.mean(corners, axis=0)
    corners.sort(key=lambda p: np.arctan2(p.y - middle[1], p.x - middle[0]))  # star-shaped
    outline = np.array(corners, np.float32)
    inside = ZoneField([tuple(corners)]).inside(np.array(feet))[0]
    for foot, answer in zip(feet, inside, strict=True):
        signed = cv2.pointPolygonTest(outline, (foot.x, foot.y), measureDist=True)
        if abs(signed) > 1e-4:
            assert answer == (signed > 0)


def test_many_zones_and_feet_at_once_are_each_judged_apart():
    left = (Point(0.0, 0.0), Point(0.5, 0.0), Point(0.5, 1.0), Point(0.0, 1.0))
    field = ZoneField([SQUARE, left])
    feet = np.array([(0.3, 0.3), (0.6, 0.3), (0.1, 0.9), (0.9, 0.9)])
    assert field.inside(feet) == [[True, True, False, False], [True, False, True, False]]


@pytest.mark.parametrize("foot", [(0.5, 1.0), (0.5, 1.2), (0.0, 0.7), (1.0, 1.0)])
def test_a_foot_point_on_or_past_the_pictures_border_is_in_the_zone_that_ends_there(foot):
    half = (Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0), Point(0.0, 1.0))
    assert ZoneField([half]).inside(np.array([foot])) == [[True]]


def test_no_zone_and_no_line_give_no_answers():
    feet = np.array([(0.5, 0.5)])
    assert ZoneField([]).inside(feet) == []
    assert LineField([]).changed(feet, feet) == []


def test_edges_along_the_border_do_not_count_for_distance():
    half = (Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0), Point(0.0, 1.0))
    assert inner_edges(half) == [(Point(0.0, 0.5), Point(1.0, 0.5))]
    assert distance(Point(0.5, 1.0), inner_edges(half)) == pytest.approx(0.5)
    whole = (Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1))
    assert distance(Point(0.5, 0.5), inner_edges(whole)) == np.inf


@given(points, points, points)
def test_distance_agrees_with_a_dense_search_along_the_segment(foot, a, b):
    along = np.linspace(0.0, 1.0, 2001)[:, None]
    places = np.array(a) + along * (np.array(b) - np.array(a))
    nearest = np.linalg.norm(places - np.array(foot), axis=1).min()
    assert distance(foot, [(a, b)]) == pytest.approx(nearest, abs=1e-3)


def test_right_is_the_right_hand_side_of_the_arrow_as_seen_in_the_picture():
    eastward = [(Point(0.2, 0.5), Point(0.8, 0.5))]
    down = list(crossings(Point(0.5, 0.4), Point(0.5, 0.6), eastward))
    up = list(crossings(Point(0.5, 0.6), Point(0.5, 0.4), eastward))
    assert [c.sign for c in down] == [1]  # who looks along the arrow has the picture's bottom right
    assert [c.sign for c in up] == [-1]
    assert down[0].part == pytest.approx(0.5)


def test_the_line_ends_where_it_ends():
    segment = [(Point(0.4, 0.5), Point(0.6, 0.5))]
    assert not list(crossings(Point(0.7, 0.4), Point(0.7, 0.6), segment))
    assert not list(crossings(Point(0.3, 0.4), Point(0.3, 0.6), segment))


@given(st.lists(grid, min_size=2, max_size=12))
def test_crossings_of_a_line_through_the_whole_picture_add_up_to_the_change_of_side(path):
    line = [(Point(-1.0, 0.5), Point(2.0, 0.5))]
    net = sum(c.sign for a, b in pairwise(path) for c in crossings(a, b, line))
    assert net == (path[-1].y >= 0.5) - (path[0].y >= 0.5)


@given(st.lists(grid, min_size=2, max_size=5), st.lists(grid, min_size=3, max_size=9))
def test_a_closed_path_crosses_a_closed_outline_as_often_in_as_out(path, outline):
    edges = [*pairwise(outline), (outline[-1], outline[0])]
    loop = [*pairwise(path), (path[-1], path[0])]
    assert sum(c.sign for a, b in loop for c in crossings(a, b, edges)) == 0


@given(grid, grid, grid, grid)
def test_crossing_agrees_with_exact_arithmetic(before, after, a, b):
    def side(p, q, r):
        (px, py), (qx, qy), (rx, ry) = ([Fraction(v) for v in point] for point in (p, q, r))
        return (qx - px) * (ry - py) - (qy - py) * (rx - px)

    ends = side(a, b, before), side(a, b, after)
    across = side(before, after, a), side(before, after, b)
    found = list(crossings(before, after, [(a, b)]))
    if min(ends) < 0 < max(ends) and min(across) < 0 < max(across):
        assert [c.sign for c in found] == [1 if ends[1] > 0 else -1]
        assert found[0].part == pytest.approx(float(ends[0] / (ends[0] - ends[1])))
    elif min(ends) > 0 or max(ends) < 0 or min(across) > 0 or max(across) < 0:
        assert not found


@given(st.lists(grid, min_size=2, max_size=6), grid, grid)
def test_the_arrays_never_miss_a_crossing(line, before, after):
    changed = LineField([tuple(line)]).changed(np.array([before]), np.array([after]))[0][0]
    assert changed or not list(crossings(before, after, list(pairwise(line))))


def test_a_narrow_zone_limits_its_hysteresis():
    assert most_hysteresis(SQUARE) == pytest.approx(0.5 * 0.36 / 2.4)
    strip = (Point(0.1, 0.5), Point(0.9, 0.5), Point(0.9, 0.51), Point(0.1, 0.51))
    assert most_hysteresis(strip) < 0.005
    assert most_hysteresis((Point(0.5, 0.5),) * 3) == 0.0

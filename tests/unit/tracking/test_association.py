import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from vigil.tracking.association import best_pairs, buffered_iou

tables = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-1.0, 1.0).map(lambda value: round(value, 3)),
)


def above_nothing(table):
    """A table of gains, (R, C), as `best_pairs` takes it."""
    return [
        {column: gain for column, gain in enumerate(row) if gain > 0.0} for row in table.tolist()
    ]


def check_against_scipy(table):
    pairs = best_pairs(above_nothing(table))
    rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
    assert len(set(rows)) == len(set(columns)) == len(pairs)
    assert (table[rows, columns] > 0.0).all()
    best = linear_sum_assignment(np.maximum(table, 0.0), maximize=True)
    assert table[rows, columns].sum() == pytest.approx(np.maximum(table, 0.0)[best].sum())


@given(tables)
def test_pairing_is_as_good_as_scipys(table):
    check_against_scipy(table)


@pytest.mark.parametrize("least", [0.0, 0.7, 0.97])
@pytest.mark.parametrize("shape", [(80, 90), (90, 60), (100, 100)])
def test_pairing_of_a_crowd_is_as_good_as_scipys(shape, least):
    check_against_scipy(np.random.default_rng(1).random(shape) - least)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_nothing_pairs_with_nothing(shape):
    assert best_pairs(above_nothing(np.zeros(shape))) == []


def test_of_two_that_want_the_same_the_one_with_more_to_gain_has_it():
    assert sorted(best_pairs([{0: 0.9, 1: 0.8}, {0: 0.7}])) == [(0, 1), (1, 0)]
    assert sorted(best_pairs([{0: 0.9}, {0: 0.7}])) == [(0, 0)]


def test_of_equals_the_first_is_taken():
    assert best_pairs([{0: 0.5, 1: 0.5}]) == [(0, 0)]


def test_without_buffer_it_is_plain_iou():
    track = (0.5, 0.5, 0.2, 0.2)
    assert buffered_iou(track, (0.6, 0.5, 0.2, 0.2)) == pytest.approx(1 / 3)
    assert buffered_iou(track, track) == pytest.approx(1.0)
    assert buffered_iou(track, (0.1, 0.1, 0.1, 0.1)) == 0.0


@pytest.mark.parametrize("size", [(0.0, 0.0), (0.1, 0.0), (-0.1, 0.1), (-0.1, -0.1)])
def test_what_has_no_area_is_like_nothing(size):
    """A prediction may shrink a box beyond nothing."""
    box = (0.5, 0.5, *size)
    assert buffered_iou(box, (0.5, 0.5, 0.2, 0.2), 0.5) == 0.0
    assert buffered_iou(box, box) == 0.0


def test_a_buffer_lets_boxes_apart_overlap_the_nearer_the_more():
    track = (0.5, 0.5, 0.1, 0.1)
    away = [(0.5 + gap, 0.5, 0.1, 0.1) for gap in (0.12, 0.16, 0.25)]
    assert not any(buffered_iou(track, box) for box in away)
    near, far, gone = (buffered_iou(track, box, 0.5) for box in away)
    assert near > far > 0.0
    assert gone == 0.0

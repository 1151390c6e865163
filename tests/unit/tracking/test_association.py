import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from vigil.tracking.association import Pairing, best_pairs, buffered_iou

gains = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-1.0, 1.0).map(lambda value: round(value, 3)),
)


@given(gains)
def test_pairing_is_as_good_as_scipys(gain):
    rows, columns = best_pairs(gain)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    assert (gain[rows, columns] > 0.0).all()
    best = linear_sum_assignment(np.maximum(gain, 0.0), maximize=True)
    assert gain[rows, columns].sum() == pytest.approx(np.maximum(gain, 0.0)[best].sum())


def test_pairing_of_a_crowd_is_as_good_as_scipys():
    rng = np.random.default_rng(1)
    for shape in ((80, 90), (90, 60), (100, 100)):
        gain = rng.random(shape) - 0.7
        rows, columns = best_pairs(gain)
        best = linear_sum_assignment(np.maximum(gain, 0.0), maximize=True)
        assert gain[rows, columns].sum() == pytest.approx(np.maximum(gain, 0.0)[best].sum())


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_pairs_with_nothing(shape):
    rows, columns = best_pairs(np.zeros(shape))
    assert len(rows) == len(columns) == 0


def test_a_later_stage_gets_only_what_an_earlier_one_left():
    pairing = Pairing(np.array([[0.9, 0.8], [0.7, 0.6]]))
    pairing.match(np.array([False, True]), np.array([True, False]))
    pairing.match(np.array([True, True]), np.array([True, True]))
    assert [pair.tolist() for pair in pairing.pairs()] == [[1, 0], [0, 1]]


def test_without_buffer_it_is_plain_iou():
    tracks = np.array([[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]])
    moved = np.array([[0.6, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.0, 0.0]])
    iou = buffered_iou(tracks, moved, np.zeros(2))
    np.testing.assert_allclose(iou, [[1 / 3, 1.0, 0.0], [0.0, 0.0, 0.0]], atol=1e-12)


def test_a_buffer_lets_boxes_apart_overlap_the_nearer_the_more():
    track = np.array([[0.5, 0.5, 0.1, 0.1]])
    away = np.array([[0.5 + gap, 0.5, 0.1, 0.1] for gap in (0.12, 0.16, 0.25)])
    assert not buffered_iou(track, away, np.zeros(1)).any()
    near, far, gone = buffered_iou(track, away, np.array([0.5]))[0]
    assert near > far > 0.0
    assert gone == 0.0

import numpy as np

from tests.support.hand_clock import HandClock
from vigil.data import U8
from vigil.host.picture_pool import IDLE_S, MOST_SPARE, PicturePool


def picture(height_px: int = 4, width_px: int = 6) -> U8:
    return np.zeros((height_px, width_px, 3), np.uint8)


def test_a_picture_that_was_given_back_is_taken_by_whoever_wants_that_shape() -> None:
    pool = PicturePool(HandClock(), at_once=1)
    small, large = picture(4, 6), picture(8, 12)
    pool.give_back(small)
    pool.give_back(large)
    assert pool.take((4, 6, 3)) is small
    assert pool.take((4, 6, 3)) is None
    assert pool.take((8, 12, 3)) is large


def test_what_only_a_busy_moment_needed_is_let_go() -> None:
    clock = HandClock()
    pool = PicturePool(clock, at_once=1)
    for _ in range(3):
        pool.give_back(picture())
    for _ in range(2):  # one at a time suffices from now on
        clock.now_s += 0.6 * IDLE_S
        taken = pool.take((4, 6, 3))
        assert taken is not None
        pool.give_back(taken)
    assert pool.take((4, 6, 3)) is taken
    assert pool.take((4, 6, 3)) is None


def test_spare_pictures_are_so_many_at_most() -> None:
    pool = PicturePool(HandClock(), at_once=1)
    for _ in range(2 * MOST_SPARE):
        pool.give_back(picture())
    taken = [pool.take((4, 6, 3)) for _ in range(2 * MOST_SPARE)]
    assert sum(each is not None for each in taken) == MOST_SPARE

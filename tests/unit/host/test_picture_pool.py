import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.hand_clock import HandClock
from vigil.data import U8
from vigil.host.picture_pool import IDLE_S, MOST_SPARE, PicturePool, Turns


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


def test_no_more_draw_at_a_time_than_may() -> None:
    turns, inside, most, lock = Turns(2), 0, 0, threading.Lock()
    left = 300  # even, and of all together: whoever is inside meets another
    met = threading.Barrier(2)

    def draw() -> None:
        nonlocal inside, most, left
        while True:
            with turns:
                with lock:
                    if not left:
                        return
                    left -= 1
                    inside += 1
                    most = max(most, inside)
                met.wait(30.0)  # two are inside at once, always
                with lock:
                    inside -= 1

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(draw) for _ in range(6)]:
            done.result(60.0)
    assert most == 2


def test_a_turn_that_fails_is_free_again() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(OSError, match="unreadable"), turns:
            raise OSError("unreadable")

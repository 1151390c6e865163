"""Who hangs in a library, and who only waits for his turn."""

import math
import threading

from tests.support.hand_clock import HandClock
from tests.support.waiting import until
from vigil.host.library_calls import SLACK_S, LibraryCalls


def calls_of(clock: HandClock) -> LibraryCalls:
    return LibraryCalls(clock, open_timeout_s=5.0, read_timeout_s=4.0)


def test_a_read_hangs_after_its_time_out_and_an_open_after_three() -> None:
    clock = HandClock()
    calls = calls_of(clock)
    for call, limit_s in ((calls.reading, 4.0), (calls.opening, 15.0)):
        with call:
            clock.now_s += limit_s + SLACK_S
            assert not calls.hung
            clock.now_s += 0.1
            assert calls.hung
        assert not calls.hung


def test_who_waits_for_his_turn_does_not_hang_and_who_has_it_does() -> None:
    clock = HandClock()
    first, second = calls_of(clock), calls_of(clock)
    waits, opened = threading.Event(), threading.Event()

    def open_second() -> None:
        with second.opening:
            waits.set()
            with second.turn():
                opened.set()

    with first.opening, first.turn():
        other = threading.Thread(target=open_second)
        other.start()
        assert waits.wait(5)
        until(lambda: second._ends_s == math.inf, what="its wait")
        clock.now_s += 1000.0
        assert first.hung
        assert not second.hung
        assert not opened.is_set()
    other.join(5)
    assert opened.is_set()

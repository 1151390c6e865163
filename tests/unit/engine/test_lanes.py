import select
import threading
from collections.abc import Iterator

import pytest

from vigil.clock import SystemClock
from vigil.engine.lanes import Lanes

WAIT_S = 10.0


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    with Lanes(2, clock=SystemClock(), prepare=lambda: None) as lanes:
        yield lanes


def finish(lanes: Lanes) -> None:
    """Collect until nothing is given any more."""
    while lanes.given:
        readable, _, _ = select.select([lanes.wake], [], [], WAIT_S)
        assert readable, "a lane did not finish"
        lanes.collect()


def test_two_lanes_work_at_once_and_results_are_taken_here(lanes: Lanes) -> None:
    both = threading.Barrier(2)
    taken: list[tuple[int, int]] = []

    def meet() -> int:
        both.wait(WAIT_S)  # neither passes without the other
        return threading.get_ident()

    for _ in range(2):
        lanes.give(meet, lambda lane: taken.append((lane, threading.get_ident())))
    assert lanes.free == 0
    finish(lanes)
    assert lanes.free == 2
    assert len({lane for lane, _ in taken}) == 2
    assert {here for _, here in taken} == {threading.get_ident()}


def test_what_is_given_beyond_the_lanes_waits_its_turn(lanes: Lanes) -> None:
    go_on = threading.Event()
    done: list[int] = []
    for number in range(5):
        lanes.give(lambda number=number: (go_on.wait(WAIT_S), number)[1], done.append)
    assert (lanes.free, lanes.given) == (0, 5)
    go_on.set()
    finish(lanes)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_the_longest_job_is_told_from_when_it_began(lanes: Lanes) -> None:
    began, go_on = threading.Event(), threading.Event()
    before_s = SystemClock().monotonic_s()
    assert lanes.oldest_start_s() is None

    def last() -> None:
        began.set()
        go_on.wait(WAIT_S)

    lanes.give(last, lambda _: None)
    assert began.wait(WAIT_S)
    since_s = lanes.oldest_start_s()
    assert since_s is not None
    assert before_s <= since_s <= SystemClock().monotonic_s()
    go_on.set()
    finish(lanes)
    assert lanes.oldest_start_s() is None


def test_what_a_job_raises_is_raised_where_its_result_is_taken(lanes: Lanes) -> None:
    def fail() -> None:
        raise ZeroDivisionError("as it should")

    lanes.give(fail, lambda _: None)
    with pytest.raises(ZeroDivisionError):
        finish(lanes)
    assert lanes.given == 0

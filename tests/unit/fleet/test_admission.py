import pytest

from tests.support.hand_clock import HandClock
from vigil.fleet.admission import WINDOW_S, Admission, Demand, HeadRoom

HOST, ENGINE = 11, 12
RATE = 5.0  # frames a second analysed of each


def demand(streams: int) -> Demand:
    return Demand(streams=streams, frames_per_s=streams * RATE)


def room(
    *,
    streams: int,
    placed: int | None = None,
    host: float,
    engine: float = 0.0,
    max_load: float = 0.9,
    threads: int = 1,
    elastic: bool = False,
    wanted: float = RATE,
    seconds: float = WINDOW_S + 2,
) -> HeadRoom | None:
    """Head-room after some seconds at which host and engine use so much of a core, on two cores."""
    clock = HandClock()
    admission = Admission(cores=2, max_load=max_load, clock=clock)
    second = 0
    while second <= seconds:
        admission.note(
            {HOST: 7.0 + host * second, ENGINE: 3.0 + engine * second},
            engine_pid=ENGINE,
            engine_threads=threads,
            demand=demand(streams),
            elastic=elastic,
        )
        second += 1
        clock.now_s += 1.0
    there = demand(streams if placed is None else placed)
    return admission.head_room(there, frames_per_s=wanted)


@pytest.mark.parametrize(
    ("streams", "host", "engine", "more"),
    [(4, 0.41, 0.0, 13), (14, 1.4, 0.1, 2), (16, 1.6, 0.21, -1), (3, 1.7, 0.0, 0)],
)
def test_as_many_fit_as_the_cores_have_left(
    streams: int, host: float, engine: float, more: int
) -> None:
    found = room(streams=streams, host=host, engine=engine)
    assert found is not None
    assert found.streams == more
    assert found.a_stream == pytest.approx((host + engine) / streams)


def test_an_engine_that_is_busy_has_no_room_though_cores_idle() -> None:
    found = room(streams=40, host=0.5, engine=0.885)
    assert found is not None
    assert found.streams == 0
    assert found.what == "the engine"
    more = room(streams=40, host=0.5, engine=0.885, threads=2)
    assert more is not None
    assert (more.streams, more.what) == (11, "all processes")


def test_streams_that_begin_count_before_they_are_measured() -> None:
    few = room(streams=4, placed=4, host=0.4)
    soon = room(streams=4, placed=16, host=0.4)
    assert few is not None
    assert soon is not None
    assert few.streams - soon.streams == 12


def test_a_stream_costs_the_engine_what_it_asks_for() -> None:
    """One stream of five frames a second leaves room for many of one, and for few of 25."""
    few = room(streams=1, host=0.01, engine=0.1, wanted=25.0)
    many = room(streams=1, host=0.01, engine=0.1, wanted=1.0)
    assert few is not None
    assert many is not None
    assert (few.streams, few.what) == (1, "the engine")
    assert few.a_stream == pytest.approx(0.5)
    assert (many.streams, many.what) == (40, "the engine")
    assert many.a_stream == pytest.approx(0.02)


def test_nothing_is_refused_before_anything_is_measured() -> None:
    assert room(streams=0, host=1.9) is None
    assert room(streams=4, host=1.9, seconds=WINDOW_S - 1) is None
    assert room(streams=4, host=1.9, elastic=True) is None
    assert room(streams=4, host=1.9, max_load=0.0) is None


def test_there_is_room_again_when_streams_are_gone() -> None:
    clock = HandClock()
    admission = Admission(cores=2, max_load=0.9, clock=clock)
    used_s = 0.0
    found: list[int] = []
    for second in range(30):
        streams = 18 if second < 15 else 9
        used_s += streams * 0.1
        admission.note(
            {HOST: used_s, ENGINE: 0.0},
            engine_pid=ENGINE,
            engine_threads=2,
            demand=demand(streams),
            elastic=False,
        )
        head = admission.head_room(demand(streams), frames_per_s=RATE)
        found.append(0 if head is None else head.streams)
        clock.now_s += 1.0
    assert found[14] <= 0
    assert found[-1] >= 8

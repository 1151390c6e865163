"""A model or a device that fails: what it costs the other streams. The engine's loop over real sockets."""

from collections.abc import Iterator, Sequence

import pytest
import torch

from tests.unit.engine.test_engine import Bench, Host
from vigil.data import U8
from vigil.engine.runner import Inferred
from vigil.engine.suspects import MOST_FAILURES
from vigil.ipc.messages import FrameDone

RAISES, NOT_A_NUMBER = 255, 254  # what the bench's net does at pictures of this brightness


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.engine._queue.limit = 16
    yield bench
    bench.close()


@pytest.fixture
def host(bench: Bench) -> Iterator[Host]:
    host = Host(bench.control, slots=16)
    yield host
    host.close()


def batch_of_16(bench: Bench, host: Host, *, bad: int = 0) -> dict[int, FrameDone]:
    """The answers to one batch, whose picture 0 is the bad one."""
    bench.net.may_go_on.clear()
    host.send(0, value=1, camera=99)  # holds the engine, so that the others come together
    bench.net.entered.acquire()
    for slot in range(1, 16):
        host.send(slot, value=bad if slot == 1 else 1)
    bench.net.may_go_on.set()
    return host.answers(16)


@pytest.mark.planted(
    "vigil.engine.app:Engine._infer_apart = lambda self, batch, error: "
    "[self._fail(each, str(error)) for each in batch]",
    caught="the other frames lost",
)
def test_one_bad_frame_of_a_batch_costs_the_others_nothing(bench: Bench, host: Host) -> None:
    done = batch_of_16(bench, host, bad=RAISES)
    lost = [slot for slot in range(2, 16) if done[slot].outcome != "analysed"]
    print(f"a picture that the model fails on: {len(lost)} of the other frames lost")
    assert done[1].outcome == "dropped_error"
    assert not lost, "the other frames lost their results"


@pytest.mark.planted(
    "vigil.engine.app:Suspects.quarantined = lambda self, key: False", caught="still in batches"
)
@pytest.mark.parametrize("bad", [RAISES, NOT_A_NUMBER], ids=["raises", "not-a-number"])
def test_a_stream_that_the_model_fails_on_is_kept_out_of_batches(
    bench: Bench, host: Host, bad: int
) -> None:
    said = []
    for _ in range(MOST_FAILURES):
        host.send(0, value=bad)
        done = host.answers(1)[0]
        assert done.outcome == "dropped_error"
        said.append(done.quarantined)
    before = len(bench.net.batches)
    host.send(0, value=bad)
    assert host.answers(1)[0].outcome == "dropped_error"
    assert len(bench.net.batches) == before, "still in batches"
    assert said == [False] * (MOST_FAILURES - 1) + [True], "the host is not told"
    host.send(1, value=1)
    assert host.answers(1)[1].outcome == "analysed"


class SmallMemory:
    """A device that has room for so many pictures at once."""

    def __init__(self, bench: Bench, pictures: int) -> None:
        self._net, self._room, self._infer = bench.net, pictures, bench.net.infer
        bench.net.infer = self.infer  # type: ignore[method-assign]

    def infer(self, pictures: Sequence[U8]) -> Inferred:
        if len(pictures) > self._room:
            self._net.entered.release()
            self._net.may_go_on.wait(5)
            raise torch.OutOfMemoryError("out of memory: tried to allocate 2 GiB")
        return self._infer(pictures)


@pytest.mark.planted(
    "vigil.engine.app:Engine._infer_halves = lambda self, batch, error: "
    "[self._fail(each, str(error)) for each in batch]",
    caught="frames lost to memory",
)
def test_a_device_without_memory_gets_half_as_much(bench: Bench, host: Host) -> None:
    SmallMemory(bench, 4)
    done = batch_of_16(bench, host)
    lost = [slot for slot, one in done.items() if one.outcome != "analysed"]
    print(f"{len(lost)} of 16 frames lost; batches since then: {bench.engine._queue.limit}")
    assert not lost, "frames lost to memory"
    assert bench.engine._queue.limit <= 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.planted("vigil.engine.app:LOST_DEVICE = ()", caught="goes on with a lost device")
def test_an_engine_whose_device_is_lost_ends(bench: Bench, host: Host) -> None:
    """Its keeper starts another one: `test_children` has how soon all streams are analysed again."""

    def lost(pictures: Sequence[U8]) -> Inferred:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    bench.net.infer = lost  # type: ignore[method-assign]
    host.send(0)
    bench.thread.join(5.0)
    for link in bench.engine._links.values():  # what the process's end would do
        link.close()
    assert not bench.thread.is_alive(), "goes on with a lost device"

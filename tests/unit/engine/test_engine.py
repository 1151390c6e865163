"""The engine's loop between two real sockets, with a runner that does as it is told."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import models as grid
from tests.support.processes import descriptors
from tests.support.waiting import until
from vigil.clock import SystemClock
from vigil.data import U8, Detections
from vigil.engine.app import Engine
from vigil.engine.queue import BatchQueue
from vigil.engine.runner import Inferred, Runner
from vigil.ipc.channel import Channel, ChannelClosed, socket_pair
from vigil.ipc.messages import (
    AttachHost,
    DetachHost,
    EngineReady,
    EngineSettings,
    FrameDone,
    FrameReady,
    FromEngine,
    StopProcess,
    ToEngine,
)
from vigil.ipc.slab import Slots
from vigil.metrics.page import Page
from vigil.vision.manifest import load_manifest

HEIGHT, WIDTH = 32, 32
STALE_S = 60.0  # as long as a machine may stand still between two lines of a test
CROP = 24  # a side of the slots of crops; the classifier's input is smaller


class Net(Runner):
    """Finds one object a picture, of the class that its first pixel says.

    255 makes it fail, 254 makes it say what is no number.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.device = "cpu"
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Semaphore(0)  # once for each batch

    def infer(self, pictures: Sequence[U8]) -> Inferred:
        self.entered.release()
        self.may_go_on.wait(5)
        self.batches.append(len(pictures))
        seen = [int(picture[0, 0, 0]) for picture in pictures]
        if 255 in seen:
            raise RuntimeError("this picture is poison")
        found = [
            None
            if value == 254
            else Detections(
                xyxy=np.array([[1, 2, 3, 4]], np.float32),
                score=np.array([0.9], np.float32),
                class_id=np.array([value]),
            )
            for value in seen
        ]
        return Inferred(found, 0.001, 0.001)


class Host:
    """A host's end of the socket, and its slots."""

    def __init__(
        self, control: Channel[ToEngine, FromEngine], host_id: str = "h1", *, slots: int = 6
    ) -> None:
        ours, theirs = socket_pair()
        ours.settimeout(5)
        self.channel: Channel[FrameReady, FrameDone] = Channel(ours, FrameDone)
        self.slots = Slots.create("vigil-test", count=slots, height_px=HEIGHT, width_px=WIDTH)
        self.crops = Slots.create("vigil-test-crops", count=4, height_px=CROP, width_px=CROP)
        control.send(
            AttachHost(host_id=host_id, input_height_px=HEIGHT, input_width_px=WIDTH, crop_px=CROP),
            descriptors=(theirs.fileno(), self.slots.slab.fd, self.crops.slab.fd),
        )
        theirs.close()

    def send(self, slot: int, *, value: int = 0, camera: int | None = None, **changes: Any) -> None:
        self.slots[slot][:] = value
        now_s = SystemClock().monotonic_s()
        fields = {"captured_s": now_s, "ready_s": now_s, "priority": 1, "keep": False, **changes}
        self.channel.send(
            FrameReady(slot=slot, camera=slot if camera is None else camera, **fields)
        )

    def answers(self, count: int) -> dict[int, FrameDone]:
        done = [self.channel.receive().message for _ in range(count)]
        return {one.slot: one for one in done}

    def close(self) -> None:
        self.channel.close()
        self.slots.slab.close()
        self.crops.slab.close()


class Bench:
    """An engine on a thread of its own."""

    def __init__(self, *, lanes: int = 1) -> None:
        ours, theirs = socket_pair()
        ours.settimeout(5)
        self.control: Channel[ToEngine, FromEngine] = Channel(ours, FromEngine)
        self.net = Net()
        self.page = Page.create("vigil-test-page", records=0)
        self.engine = Engine(
            Channel(theirs, ToEngine),
            runner=self.net,
            queue=BatchQueue(limit=4, linger_s=0.02, max_staleness_s=STALE_S),
            page=self.page,
            clock=SystemClock(),
            lanes=lanes,
        )
        self.thread = threading.Thread(target=self.engine.run)
        self.thread.start()

    def close(self) -> None:
        self.net.may_go_on.set()
        self.control.close()
        self.thread.join(5)
        assert not self.thread.is_alive(), "an engine ends with its socket"
        self.engine._control.close()
        self.page.slab.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def host(bench: Bench) -> Iterator[Host]:
    host = Host(bench.control)
    yield host
    host.close()


def test_frames_come_back_with_what_was_found_in_them(bench: Bench, host: Host) -> None:
    for slot in range(4):
        host.send(slot, value=slot + 1)
    answers = host.answers(4)
    for slot, done in answers.items():
        assert done.outcome == "analysed"
        assert np.frombuffer(done.class_id, np.int64).tolist() == [slot + 1]
        assert np.frombuffer(done.xyxy, np.float32).tolist() == [1, 2, 3, 4]
    assert sum(bench.net.batches) == 4
    assert bench.page.stage("infer").counts.sum() == 4
    assert bench.page.stage("queue").counts.sum() == 4
    assert bench.page.batches().total == 4


def test_a_newer_frame_of_a_stream_replaces_the_one_that_waits(bench: Bench, host: Host) -> None:
    bench.net.may_go_on.clear()
    host.send(0, camera=9)  # with the net
    until(lambda: bench.page.stage("batch_wait").counts.sum() == 1)
    host.send(1, camera=1)
    host.send(2, camera=1)
    bench.net.may_go_on.set()
    answers = host.answers(3)
    assert answers[1].outcome == "dropped_newer"
    assert answers[0].outcome == answers[2].outcome == "analysed"


def test_a_frame_that_is_too_old_comes_back_without_an_answer(bench: Bench, host: Host) -> None:
    host.send(0, captured_s=SystemClock().monotonic_s() - 2 * STALE_S)
    host.send(1, captured_s=SystemClock().monotonic_s() - 2 * STALE_S, keep=True)
    answers = host.answers(2)
    assert (answers[0].outcome, answers[1].outcome) == ("dropped_stale", "analysed")


def test_one_poisonous_picture_costs_the_others_of_its_batch_nothing(
    bench: Bench, host: Host
) -> None:
    bench.net.may_go_on.clear()
    for slot, value in enumerate((3, 255, 4, 5)):
        host.send(slot, value=value)
    bench.net.may_go_on.set()
    answers = host.answers(4)
    outcomes = [answers[slot].outcome for slot in range(4)]
    assert outcomes == ["analysed", "dropped_error", "analysed", "analysed"]
    host.send(0, value=7)
    assert host.answers(1)[0].outcome == "analysed"


def test_a_frame_whose_answer_is_no_number_comes_back_as_an_error(bench: Bench, host: Host) -> None:
    bench.net.may_go_on.clear()
    for slot, value in enumerate((3, 254, 4)):
        host.send(slot, value=value)
    bench.net.may_go_on.set()
    answers = host.answers(3)
    outcomes = [answers[slot].outcome for slot in range(3)]
    assert outcomes == ["analysed", "dropped_error", "analysed"]


def test_a_host_that_dies_takes_its_frames_along(bench: Bench, host: Host) -> None:
    other = Host(bench.control, "h2")
    bench.net.may_go_on.clear()
    host.send(0)
    until(lambda: bench.page.stage("batch_wait").counts.sum() == 1)
    other.send(1)
    other.close()
    bench.net.may_go_on.set()
    assert host.answers(1)[0].outcome == "analysed"
    host.send(2)
    assert host.answers(1)[2].outcome == "analysed"


def test_a_host_that_is_attached_again_while_the_net_is_busy_stays(bench: Bench) -> None:
    """Its old socket's end and its new socket come in one look: the end is not the new one's."""
    other = Host(bench.control, "h2")
    old = Host(bench.control)
    old.send(0)
    old.answers(1)
    bench.net.may_go_on.clear()
    other.send(0)
    until(lambda: bench.page.stage("batch_wait").counts.sum() == 2)
    bench.control.send(DetachHost(host_id="h1"))
    new = Host(bench.control)
    old.close()
    bench.net.may_go_on.set()
    other.answers(1)
    new.send(3, value=6)
    assert new.answers(1)[3].outcome == "analysed"
    new.close()
    other.close()


def test_a_host_that_reads_nothing_blocks_nobody(bench: Bench, host: Host) -> None:
    """Answers to it wait in the engine; a host has no more frames out than slots."""
    deaf = Host(bench.control, "deaf")
    for slot in range(6):
        deaf.send(slot, keep=True, camera=-1)
    host.send(0)
    assert host.answers(1)[0].outcome == "analysed"
    assert len(deaf.answers(6)) == 6
    deaf.close()


@pytest.fixture
def two_lanes() -> Iterator[Bench]:
    bench = Bench(lanes=2)
    yield bench
    bench.close()


def test_another_batch_goes_beside_one_that_lasts(two_lanes: Bench) -> None:
    host = Host(two_lanes.control)
    two_lanes.net.may_go_on.clear()
    host.send(0, value=1)
    assert two_lanes.net.entered.acquire(timeout=5)
    for slot in (1, 2):  # fewer than a batch: they have waited long enough
        host.send(slot, value=2)
    assert two_lanes.net.entered.acquire(timeout=5), "a batch beside the first"
    two_lanes.net.may_go_on.set()
    assert {done.outcome for done in host.answers(3).values()} == {"analysed"}
    assert sum(two_lanes.net.batches) == 3
    host.close()


def test_a_stream_s_frames_are_inferred_one_after_the_other(two_lanes: Bench) -> None:
    host = Host(two_lanes.control)
    two_lanes.net.may_go_on.clear()
    host.send(0, value=1, camera=3)
    assert two_lanes.net.entered.acquire(timeout=5)
    host.send(1, value=2, camera=3)
    until(lambda: two_lanes.page.stage("queue").counts.sum() == 2)
    assert not two_lanes.net.entered.acquire(timeout=0.3), "it could overtake the first"
    two_lanes.net.may_go_on.set()
    assert [host.channel.receive().message.slot for _ in range(2)] == [0, 1]
    host.close()


def test_a_lane_that_hangs_stops_the_heart_though_another_works(two_lanes: Bench) -> None:
    host = Host(two_lanes.control)
    two_lanes.net.may_go_on.clear()
    host.send(0, value=1)
    assert two_lanes.net.entered.acquire(timeout=5)
    until(lambda: two_lanes.page.stage("batch_wait").counts.sum() == 1)
    hung_s = SystemClock().monotonic_s()
    until(lambda: SystemClock().monotonic_s() > hung_s + 1.0)  # several beats of an idle engine
    assert two_lanes.page.last_beat_s() <= hung_s
    two_lanes.net.may_go_on.set()
    host.answers(1)
    until(lambda: two_lanes.page.last_beat_s() > hung_s)
    host.close()


def test_what_a_host_had_at_a_lane_when_it_left_is_not_given_to_its_successor(
    two_lanes: Bench,
) -> None:
    old = Host(two_lanes.control)
    two_lanes.net.may_go_on.clear()
    old.send(0, value=1)
    assert two_lanes.net.entered.acquire(timeout=5)
    new = Host(two_lanes.control)  # under the same id
    new.send(1, value=2, camera=0)
    assert two_lanes.net.entered.acquire(timeout=5), "its camera 0 is another one"
    two_lanes.net.may_go_on.set()
    assert new.channel.receive().message.slot == 1
    new.send(2, value=2)
    assert new.channel.receive().message.slot == 2
    new.close()
    old.close()


def test_it_stops_when_told_and_beats_until_then(bench: Bench) -> None:
    first = until(bench.page.last_beat_s)
    until(lambda: bench.page.last_beat_s() > first, what="a second heartbeat while idle")
    bench.control.send(StopProcess())
    bench.thread.join(5)
    assert not bench.thread.is_alive()


def test_an_engine_whose_host_leaves_keeps_no_descriptor(bench: Bench) -> None:
    def cycle() -> None:
        host = Host(bench.control)
        host.send(0)
        host.answers(1)
        bench.control.send(DetachHost(host_id="h1"))
        with pytest.raises(ChannelClosed):
            host.channel.receive()
        host.close()

    cycle()
    before = descriptors()
    for _ in range(20):
        cycle()
    until(lambda: len(descriptors() - before) <= 2, what="as many descriptors as before")


def test_the_process_says_why_it_cannot_serve(models: Path, run_engine: Callable[..., Any]) -> None:
    said, status = run_engine(model="unknown", models_dir=str(models))
    assert "no model 'unknown'" in said.detail
    assert status == 1


def test_the_process_serves_when_its_model_is_warm(
    models: Path, run_engine: Callable[..., Any]
) -> None:
    said, status = run_engine(model=grid.NAME, models_dir=str(models))
    assert (said.device, said.model) == ("cpu", grid.NAME)
    assert status == 0


@pytest.fixture
def run_engine() -> Callable[..., Any]:
    """Start the real process, take its first word, tell it to stop."""

    def run(**changes: Any) -> tuple[Any, int]:
        with started(**changes) as (process, control):
            said = control.receive().message
            if isinstance(said, EngineReady):
                control.send(StopProcess())
            return said, process.wait(20)

    return run


@contextmanager
def started(
    **changes: Any,
) -> Iterator[tuple["subprocess.Popen[str]", Channel[ToEngine, FromEngine]]]:
    """The real process with its settings sent."""
    ours, theirs = socket_pair()
    ours.settimeout(60)
    control: Channel[ToEngine, FromEngine] = Channel(ours, FromEngine)
    page = Page.create("vigil-test-page", records=0)
    fields = {
        "device": "cpu",
        "max_batch": 2,
        "linger_s": 0.01,
        "max_staleness_s": 1.0,
        "threads": 1,
        **changes,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "vigil.engine", str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        theirs.close()
        control.send(EngineSettings(**fields), descriptors=(page.slab.fd,))
        yield process, control
    control.close()
    page.slab.close()


def test_a_process_whose_service_is_gone_while_its_model_is_loaded_ends_quietly(
    models: Path,
) -> None:
    """Before, it crashed when it said that it was ready."""
    with started(model=grid.NAME, models_dir=str(models)) as (process, control):
        control.close()
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "crashed" not in log
    assert "Traceback" not in log


def test_manifests_of_the_grid_model_are_as_the_tests_expect(models: Path) -> None:
    manifest = load_manifest(grid.NAME, models_dir=models)
    assert (manifest.input_hw, manifest.classes) == (grid.INPUT_HW, grid.CLASSES)

"""The engine process: takes frames of all hosts, infers them in batches, gives the slots back."""

import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog
import torch

from vigil.clock import Clock, SystemClock
from vigil.config import engine_threads, shared_threads
from vigil.data import U8
from vigil.engine.classifiers import open_classifiers
from vigil.engine.crop_queue import MAX_CROPS
from vigil.engine.explainer import Explainer, Question, refusal
from vigil.engine.host_link import HostLink
from vigil.engine.lanes import Lanes
from vigil.engine.queue import BatchQueue, Waiting
from vigil.engine.runner import Runner
from vigil.engine.second_stage import SecondStage
from vigil.engine.suspects import Suspects
from vigil.errors import VigilError
from vigil.ipc.channel import Channel, ChannelClosed, Parcel
from vigil.ipc.messages import (
    AttachHost,
    CropReady,
    DetachHost,
    EngineFailed,
    EngineReady,
    EngineSettings,
    EngineTimes,
    EngineToHost,
    ExplainReady,
    FrameReady,
    FromEngine,
    HostToEngine,
    StopProcess,
    ToEngine,
)
from vigil.ipc.slab import Slab, Slots
from vigil.metrics.page import Page
from vigil.vision.classifier import CropClassifier
from vigil.vision.inferred import Inferred
from vigil.vision.manifest import load_manifest

log = structlog.get_logger()

SETTINGS_TIMEOUT_S = 10.0
LOST_DEVICE = (torch.AcceleratorError, torch.OutOfMemoryError)  # another process may fare better
IDLE_S = 0.25  # how often an idle engine shows that it is alive
BEAT_S = 0.05  # and how often at most it says so, with what waits


class Engine:
    """The loop of the engine process: one thread has the sockets and the queue, `Lanes` infer.

    Whatever is counted or sent is counted and sent by the loop; a lane sees pictures and gives answers.
    """

    def __init__(
        self,
        control: Channel[FromEngine, ToEngine],
        *,
        runner: Runner,
        queue: BatchQueue,
        page: Page,
        clock: Clock,
        lanes: int = 1,
        classifiers: Mapping[str, CropClassifier] | None = None,
        explainer: Explainer | None = None,
    ) -> None:
        self._control = control
        self._runner = runner
        self._queue = queue
        self._page = page
        self._clock = clock
        self._links: dict[str, HostLink] = {}
        self._in_hand: dict[Waiting, HostLink] = {}  # frames that lanes have, and whose they are
        self._lanes = Lanes(lanes, clock=clock, prepare=_one_thread)
        self._second_stage = SecondStage(
            classifiers or {}, self._links, lanes=self._lanes, page=page, clock=clock
        )
        self._explainer = explainer
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._next_beat_s = 0.0
        self._due_s: float | None = None  # when a batch should go, as far as is known
        self._suspects = Suspects()

    def run(self) -> None:
        """Serve until told to stop, or until the service is gone; what lanes have is finished."""
        self._control.sock.setblocking(False)
        self._selector.register(self._control, selectors.EVENT_READ)
        with self._lanes:
            self._selector.register(self._lanes.wake, selectors.EVENT_READ)
            if self._explainer is not None:
                self._selector.register(self._explainer.wake, selectors.EVENT_READ)
            while not self._stopping:
                self._run_once()
            self._selector.unregister(self._control)
            while self._lanes.given:
                self._beat()
                self._intake(IDLE_S)
        self._flush()

    def _beat(self) -> float:
        """Show progress: a lane that hangs stands for the whole process."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + BEAT_S
            self._page.beat(min(now_s, self._lanes.oldest_start_s() or now_s))
            oldest_s = self._queue.oldest_captured_s()
            oldest_utc_s = 0.0 if oldest_s is None else self._clock.utc_s() - (now_s - oldest_s)
            self._page.set_queue(len(self._queue), oldest_utc_s)
        return now_s

    def _run_once(self) -> None:
        now_s = self._beat()
        # `_due_s` stands from the end of the last turn: nothing has come since
        self._intake(IDLE_S if self._due_s is None else max(0.0, self._due_s - now_s))
        now_s = self._clock.monotonic_s()
        while (wait_s := self._wait_s(now_s)) == 0.0:
            self._infer_next()
            now_s = self._clock.monotonic_s()
        self._second_stage.run_due()  # after the frames, and one batch at most
        waits_s = [
            each_s for each_s in (wait_s, self._second_stage.wait_s(now_s)) if each_s is not None
        ]
        self._due_s = now_s + min(waits_s) if waits_s else None
        self._flush()

    def _wait_s(self, now_s: float) -> float | None:
        """Seconds until a batch of frames should go; None where none waits, or no lane is free for it."""
        if not self._lanes.free:
            return None
        return self._queue.wait_s(now_s, beside=self._lanes.given > 0)

    def _intake(self, timeout_s: float) -> None:
        for key, mask in self._selector.select(timeout_s):
            if key.fileobj is self._control:
                self._obey()
            elif key.fileobj == self._lanes.wake:
                self._lanes.collect()
            elif key.data is None:
                self._tell_explained()
            elif mask & selectors.EVENT_READ:
                self._accept(key.data)

    def _obey(self) -> None:
        try:
            parcels = self._control.drain()
        except ChannelClosed:
            self._stopping = True
            return
        for parcel in parcels:
            match parcel.message:
                case AttachHost():
                    self._attach(parcel.message, parcel)
                case DetachHost(host_id=host_id):
                    self._detach(host_id)
                case StopProcess():
                    self._stopping = True
                case EngineSettings():
                    log.warning("settings_twice", advice="settings are taken once, at start")
            parcel.close()

    def _attach(self, message: AttachHost, parcel: Parcel[ToEngine]) -> None:
        self._detach(message.host_id)
        sock = socket.socket(fileno=parcel.descriptors.pop(0))
        sock.setblocking(False)
        slots = Slots(
            Slab.open(parcel.descriptors.pop(0)),
            height_px=message.input_height_px,
            width_px=message.input_width_px,
        )
        crop_slots = Slots(
            Slab.open(parcel.descriptors.pop(0)),
            height_px=message.crop_px,
            width_px=message.crop_px,
        )
        channel: Channel[EngineToHost, HostToEngine] = Channel(sock, HostToEngine)
        link = HostLink(message.host_id, channel, slots=slots, crop_slots=crop_slots)
        self._links[message.host_id] = link
        self._selector.register(channel, selectors.EVENT_READ, link)

    def _detach(self, host_id: str) -> None:
        link = self._links.pop(host_id, None)
        if link is not None:
            self._selector.unregister(link.channel)
            self._queue.forget(host_id)
            self._second_stage.forget(host_id)
            self._suspects.forget(host_id)
            link.close()

    def _accept(self, link: HostLink) -> None:
        if self._links.get(link.host_id) is not link:
            return  # detached since `select`: its host may be attached again under the same id
        try:
            parcels = link.channel.drain()
        except ChannelClosed:
            self._detach(link.host_id)
            return
        now_s = self._clock.monotonic_s()
        for parcel in parcels:
            match parcel.message:
                case CropReady() as crop:
                    self._second_stage.offer(link, crop)
                case ExplainReady() as asked:
                    self._explain(link, asked, parcel.payload())
                case FrameReady() as frame:
                    self._page.times.observe("queue", now_s - frame.ready_s)
                    replaced = self._queue.offer(Waiting(link.host_id, frame, now_s))
                    if replaced is not None:
                        link.dropped_newer(replaced.frame)

    def _explain(self, link: HostLink, asked: ExplainReady, pixels: bytes) -> None:
        if self._explainer is None:
            link.explained(refusal(asked, "unavailable", "this engine explains nothing"))
        else:
            self._explainer.ask(Question(link.host_id, asked, pixels))

    def _tell_explained(self) -> None:
        assert self._explainer is not None
        for host_id, done in self._explainer.answers():
            if host_id in self._links:  # else its host is gone, and who asked with it
                self._links[host_id].explained(done)

    def _infer_next(self) -> None:
        now_s = self._clock.monotonic_s()
        batch, stale = self._queue.take(now_s)
        for waiting in stale:
            self._links[waiting.host_id].dropped_stale(waiting.frame)
        if not batch:
            return
        for waiting in batch:
            self._page.times.observe("batch_wait", now_s - waiting.arrived_s)
        shared = [waiting for waiting in batch if not self._suspects.quarantined(waiting.key)]
        for waiting in batch:
            if waiting in shared:
                continue
            if self._suspects.may_try(waiting.key, now_s):
                self._infer([waiting])
            else:
                self._links[waiting.host_id].dropped_error(waiting.frame, quarantined=True)
        if shared:
            self._page.times.observe_batch(len(shared))
            self._infer(shared)

    def _infer(self, batch: list[Waiting]) -> None:
        """Give a batch to a lane; frames that come back to be tried again are held already."""
        for waiting in batch:
            if waiting not in self._in_hand:
                self._in_hand[waiting] = self._links[waiting.host_id]
                self._queue.hold(waiting)
        pictures = [self._in_hand[waiting].picture(waiting.frame) for waiting in batch]
        self._lanes.give(partial(self._attempt, pictures), partial(self._take_answer, batch))

    def _attempt(self, pictures: Sequence[U8]) -> Inferred | RuntimeError:
        """A lane's part: what the model says, or why it cannot."""
        try:
            return self._runner.infer(pictures)
        except RuntimeError as error:
            return error

    def _take_answer(self, batch: list[Waiting], answer: Inferred | RuntimeError) -> None:
        if isinstance(answer, torch.OutOfMemoryError):
            self._infer_halves(batch, answer)
            return
        if isinstance(answer, RuntimeError):
            self._infer_apart(batch, answer)
            return
        self._page.times.observe("infer", answer.infer_s, times=len(batch))
        self._page.times.observe("postprocess", answer.postprocess_s, times=len(batch))
        for waiting, found in zip(batch, answer.found, strict=True):
            if found is None:
                self._fail(waiting, "the net's answer is not all numbers")
            elif (link := self._let_go(waiting)) is not None:
                self._suspects.succeeded(waiting.key)
                times = (
                    self._times(waiting, answer, frames=len(batch))
                    if waiting.frame.traced
                    else None
                )
                link.analysed(waiting.frame, found, infer_s=answer.infer_s, times=times)

    def _let_go(self, waiting: Waiting) -> HostLink | None:
        """A frame is done with; gives whom to tell, None where its host is gone."""
        link = self._in_hand.pop(waiting)
        if self._links.get(waiting.host_id) is not link:
            return None  # detached meanwhile: it may be attached again under the same id
        self._queue.release(waiting)
        return link

    def _times(self, waiting: Waiting, result: Inferred, *, frames: int) -> EngineTimes:
        return EngineTimes(
            arrived_s=waiting.arrived_s,
            done_s=self._clock.monotonic_s(),
            infer_s=result.infer_s,
            postprocess_s=result.postprocess_s,
            frames=frames,
        )

    def _infer_halves(self, batch: list[Waiting], error: RuntimeError) -> None:
        """The device has no memory for so many frames: batches are half as large from now on.

        A single frame without room fails like any other, and with it the engine: another one begins empty.
        """
        if len(batch) == 1:
            self._infer_apart(batch, error)
            return
        half = len(batch) // 2
        self._queue.limit = min(self._queue.limit, half)
        log.error("out_of_memory", frames=len(batch), batch_limit=self._queue.limit)
        self._runner.free_memory()
        for start in range(0, len(batch), half):
            self._infer(batch[start : start + half])

    def _infer_apart(self, batch: list[Waiting], error: RuntimeError) -> None:
        """The net failed on a batch: find the frame that did it, so that the others keep their results.

        A device that is lost fails on every frame. Then the engine ends, and a fresh one is started.
        """
        if len(batch) == 1:
            self._fail(batch[0], str(error))
            if self._runner.device != "cpu" or isinstance(error, LOST_DEVICE):
                raise error
            return
        for waiting in batch:
            self._infer([waiting])

    def _fail(self, waiting: Waiting, why: str) -> None:
        """The model failed on this frame; a client's picture is no stream, and not held against one."""
        log.error("frame_failed", error=why)
        link = self._let_go(waiting)
        if link is None:
            return
        is_stream = waiting.frame.camera >= 0
        if is_stream and self._suspects.failed(waiting.key, self._clock.monotonic_s()):
            log.error("stream_quarantined", host=waiting.host_id, camera=waiting.frame.camera)
        quarantined = is_stream and self._suspects.quarantined(waiting.key)
        link.dropped_error(waiting.frame, quarantined=quarantined)

    def _flush(self) -> None:
        for link in [each for each in self._links.values() if each.has_unsent]:
            was_blocked = link.blocked
            try:
                link.flush()
            except ChannelClosed:
                self._detach(link.host_id)
                continue
            if link.blocked != was_blocked:
                writing = selectors.EVENT_WRITE if link.blocked else 0
                self._selector.modify(link.channel, selectors.EVENT_READ | writing, link)


def _one_thread() -> None:
    """Lanes share nothing within an operation: see `shared_threads`."""
    torch.set_num_threads(1)


def main(fd: int) -> int:
    """Serve the engine's end of the socket ``fd``; returns the exit status."""
    control: Channel[FromEngine, ToEngine] = Channel(socket.socket(fileno=fd), ToEngine)
    try:
        return _serve(control)
    except ChannelClosed:  # the service is gone, perhaps while the model was loaded
        return 0


def _serve(control: Channel[FromEngine, ToEngine]) -> int:
    control.sock.settimeout(SETTINGS_TIMEOUT_S)
    parcel = control.receive()
    settings = parcel.message
    if not isinstance(settings, EngineSettings):
        raise TypeError(f"expected EngineSettings first, got {type(settings).__name__}")
    started_s = time.monotonic()
    try:
        manifest = load_manifest(settings.model, models_dir=Path(settings.models_dir))
        ours = manifest.imported is None
        threads = 1 if ours else shared_threads(settings.threads)
        cores = engine_threads(settings.threads)
        runner = Runner(
            manifest,
            device=settings.device,
            max_batch=settings.max_batch,
            threads=threads,
            lanes=cores,
        )
        runner.warm()
        lanes = cores if ours and runner.device == "cpu" else 1
        classifiers = open_classifiers(
            settings.classifiers,
            models_dir=Path(settings.models_dir),
            device=runner.device,
            max_batch=MAX_CROPS,
        )
    except (VigilError, RuntimeError) as error:
        control.send(EngineFailed(detail=str(error)))
        return 1
    page = Page(Slab.open(parcel.descriptors.pop(0)), records=0)
    engine = Engine(
        control,
        runner=runner,
        queue=BatchQueue(
            limit=settings.max_batch,
            linger_s=settings.linger_s,
            max_staleness_s=settings.max_staleness_s,
        ),
        page=page,
        clock=SystemClock(),
        lanes=lanes,
        classifiers=classifiers,
        explainer=Explainer(manifest, {name: one.manifest for name, one in classifiers.items()}),
    )
    page.beat(time.monotonic())  # before anyone looks for it
    control.send(
        EngineReady(
            device=runner.device,
            precision=runner.precision,
            form=runner.form,
            compiled=runner.compiled,
            model=manifest.name,
            threads=lanes * threads,
            load_s=time.monotonic() - started_s,
        )
    )
    engine.run()
    return 0

"""The host process: several cameras' rooms around one loop."""

import contextlib
import faulthandler
import os
import queue
import resource
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog

from vigil.clock import Clock, SystemClock
from vigil.fleet.policy import SourcePolicy
from vigil.host.access import Access
from vigil.host.answers import Answers
from vigil.host.camera import Camera
from vigil.host.capture import configure_process
from vigil.host.classifying import Classifying
from vigil.host.confinement import confine
from vigil.host.context import HostContext, Transit, detections_of
from vigil.host.engine_link import EngineLink
from vigil.host.explanations import Explanations
from vigil.host.frame_trace import TraceSampler
from vigil.host.golden import HeldClip, tell_of
from vigil.host.http_proxy import HttpProxy
from vigil.host.picture_pool import PicturePool
from vigil.host.pictures import Pictures
from vigil.host.pushes import Pushes
from vigil.host.reader import Reader
from vigil.host.snapshots import Snapshots
from vigil.host.worker import Worker
from vigil.ipc.channel import Channel, ChannelClosed, Parcel, limit_sending
from vigil.ipc.messages import (
    AnalysePicture,
    AttachEngine,
    ClassifyPicture,
    DetachEngine,
    EndPush,
    ExplainSnapshot,
    FrameDone,
    FromHost,
    HostReady,
    HostSettings,
    LoginGranted,
    PushFrame,
    ReaderHangs,
    RunGranted,
    StartStream,
    StopProcess,
    StopStream,
    StreamStopped,
    TakeBaselines,
    TakeSnapshot,
    ToHost,
    UpdateStream,
)
from vigil.ipc.slab import SLOTS_A_STREAM, Slab, Slots
from vigil.metrics.page import Page
from vigil.redact import REDACTOR
from vigil.spec import Pace

log = structlog.get_logger()

SETTINGS_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 10.0  # a service that takes nothing for so long hangs
IDLE_S = 0.25


@dataclass(slots=True)
class Room:
    """One camera and what reads it; pushed streams have no reader."""

    camera: Camera
    reader: Reader | None
    leaving: bool = False
    pushing: bool = False  # frames that clients pushed may still be queued
    clip: HeldClip | None = None  # a golden one's file, as long as the camera plays it

    def reads(self) -> bool:
        """Whether frames can still come in, once it is leaving.

        A reader that was told to stop begins no run: one that still opens its camera, which may take long,
        is not waited for, and its thread ends by itself.
        """
        if self.reader is None:
            return self.pushing
        return self.reader.alive and self.camera.has_open_run()

    def end_pushing(self) -> None:
        """No pushed frame is queued any more."""
        self.pushing = False


class Host:
    """The analysis loop: commands of the service, results of the engine."""

    def __init__(
        self,
        control: Channel[FromHost, ToHost],
        settings: HostSettings,
        *,
        page: Page,
        slots: Slots,
        crop_slots: Slots,
        access: Access,
    ) -> None:
        self._control = control
        self._settings = settings
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._engine: EngineLink[Transit] = EngineLink(slots, crop_slots)
        self._clock: Clock = SystemClock()
        self._worker = Worker("pictures")
        self._context = HostContext(
            settings=settings,
            clock=self._clock,
            page=page,
            engine=self._engine,
            access=access,
            send=control.send,
            post=self._post,
            worker=self._worker,
            pictures=PicturePool(self._clock, at_once=len(os.sched_getaffinity(0))),
            traces=TraceSampler(settings.trace_ratio) if settings.trace_ratio else None,
        )
        picture_slots = range(settings.streams * SLOTS_A_STREAM, slots.count)
        answers = Answers(control.send, self._worker)
        self._pictures = Pictures(self._context, answers, slots=picture_slots)
        self._classifying = Classifying(self._context, answers)
        self._pushes = Pushes(self._context, answers, self._worker)
        self._snapshots = Snapshots(self._context, self._worker)
        self._explanations = Explanations(self._context, self._worker)
        self._rooms: dict[str, Room] = {}
        self._page = page
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._leaving = False  # whether cameras are
        self._next_look_s = 0.0  # at the rooms, while nothing leaves

    def run(self) -> None:
        """Serve until told to stop, or until the service is gone."""
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._worker.start()
        self._control.send(HostReady())
        while not self._stopping:
            self._run_once()
        self._shut_down()

    def _run_once(self) -> None:
        now_s = self._clock.monotonic_s()
        self._page.beat(now_s)
        for key, _ in self._selector.select(IDLE_S):
            if key.fileobj is self._control:
                self._obey()
            elif key.fileobj == self._wake:
                os.eventfd_read(self._wake)
                self._run_posted()
            else:
                self._take_results()
        if self._leaving or now_s >= self._next_look_s:
            self._next_look_s = now_s + IDLE_S
            self._sweep()

    def _post(self, work: Callable[[], None]) -> None:
        self._posted.put(work)
        os.eventfd_write(self._wake, 1)

    def _run_posted(self) -> None:
        while not self._posted.empty():
            self._posted.get()()

    def _take_results(self) -> None:
        try:
            results = self._engine.results()
        except ChannelClosed:
            self._lose_engine()
            return
        for transit, done in results.frames:
            if done.outcome == "analysed":
                transit.analysed(detections_of(done, transit.letterbox), done)
            else:
                transit.dropped(done)
        for crop, said in results.crops:
            self._page.count_crop(said.outcome)
            if said.outcome == "classified":
                crop.classified(np.frombuffer(said.probabilities, np.float32))
            else:
                crop.dropped()

        for then, answer in results.explained:
            then(answer)

    def _lose_engine(self) -> None:
        if self._engine.channel is not None:
            self._selector.unregister(self._engine.channel)
        lost = self._engine.detach()
        for transit in lost.frames:
            transit.dropped(FrameDone(slot=-1, outcome="dropped_error"))
        for crop in lost.crops:
            self._page.count_crop("dropped_error")
            crop.dropped()
        for then, answer in lost.explained:
            then(answer)

    def _obey(self) -> None:
        try:
            parcels = self._control.drain()
        except ChannelClosed:
            self._stopping = True
            return
        for parcel in parcels:
            self._dispatch(parcel)
            parcel.close()

    def _dispatch(self, parcel: Parcel[ToHost]) -> None:  # noqa: C901 - one case a message
        match parcel.message:
            case AttachEngine():
                self._lose_engine()
                self._engine.attach(parcel.descriptors.pop(0))
                assert self._engine.channel is not None
                self._selector.register(self._engine.channel, selectors.EVENT_READ)
            case DetachEngine():
                self._lose_engine()
            case StartStream() as start:
                self._start_stream(start, parcel.descriptors)
            case UpdateStream(spec=spec):
                if spec.stream_id in self._rooms:
                    self._rooms[spec.stream_id].camera.change(spec)
            case TakeBaselines(stream_id=stream_id, baselines=baselines):
                if stream_id in self._rooms:
                    self._rooms[stream_id].camera.learn(baselines)
            case StopStream(stream_id=stream_id):
                self._stop_stream(stream_id)
            case RunGranted(stream_id=stream_id, run=run):
                if stream_id in self._rooms:
                    self._rooms[stream_id].camera.grant_run(run)
            case LoginGranted(stream_id=stream_id) as login:
                if stream_id in self._rooms:
                    self._rooms[stream_id].camera.grant_login(login)
            case AnalysePicture() as request:
                self._pictures.analyse(request, parcel.payload())
            case ClassifyPicture() as request:
                self._classifying.classify(request, parcel.payload())
            case PushFrame() as request:
                self._pushes.push(request, parcel.payload(), self._camera(request.stream_id))
            case EndPush(stream_id=stream_id):
                if stream_id in self._rooms:
                    self._pushes.end(self._rooms[stream_id].camera)
            case TakeSnapshot() as request:
                self._snapshots.take(request, self._camera(request.stream_id))
            case ExplainSnapshot() as request:
                self._explanations.explain(request, self._camera(request.stream_id))
            case StopProcess():
                self._stopping = True
            case HostSettings():
                log.warning("settings_twice", advice="settings are taken once, at start")

    def _camera(self, stream_id: str) -> Camera | None:
        room = self._rooms.get(stream_id)
        return room.camera if room else None

    def _start_stream(self, start: StartStream, descriptors: list[int]) -> None:
        source = start.spec.source
        REDACTOR.remember(source.password, user=source.username)
        first = start.record * SLOTS_A_STREAM
        golden = source.pace is Pace.WAITED
        clip = HeldClip(descriptors.pop(0)) if golden else None
        camera = Camera(
            clip.spec(start.spec) if clip is not None else start.spec,
            self._context,
            record=start.record,
            # with one slot, a frame waits for the result of the one before
            slots=range(first, first + (1 if golden else SLOTS_A_STREAM)),
            witness=tell_of(start.spec.stream_id, self._context.send) if golden else None,
        )
        reader = None
        if not start.spec.source.pushed:
            reader = Reader(camera, self._context)
        pushing = reader is None
        self._rooms[start.spec.stream_id] = Room(camera, reader, pushing=pushing, clip=clip)
        if reader is not None:
            reader.start()

    def _stop_stream(self, stream_id: str) -> None:
        """Begin to end a camera; a capture may take its read time-out to notice."""
        room = self._rooms.get(stream_id)
        if room is None:
            self._control.send(StreamStopped(stream_id=stream_id))
            return
        room.leaving = self._leaving = True
        if room.reader is not None:
            room.reader.stop()
        else:
            self._pushes.end(room.camera, then=room.end_pushing)

    def _sweep(self) -> None:
        """Tell of readers that hang; forget cameras that leave, once nothing of them is on its way."""
        for stream_id, room in list(self._rooms.items()):
            if room.camera.library.hung:
                self._control.send(ReaderHangs(stream_id=stream_id))
            if room.leaving and not room.reads() and not room.camera.ledger.in_flight():
                self._run_posted()  # the reader's last word: its run is over
                room.camera.abandon_wishes()
                if room.clip is not None:
                    room.clip.close()
                del self._rooms[stream_id]
                self._control.send(StreamStopped(stream_id=stream_id))
        self._leaving = any(room.leaving for room in self._rooms.values())

    def _shut_down(self) -> None:
        """Stop every camera, take what the engine still gives, end the runs."""
        for stream_id in list(self._rooms):
            self._stop_stream(stream_id)
        deadline_s = self._clock.monotonic_s() + self._settings.read_timeout_s
        while self._has_more_to_say() and self._clock.monotonic_s() < deadline_s:
            self._run_once()
        self._worker.stop()

    def _has_more_to_say(self) -> bool:
        """Whether a run is open; a reader that is still opening its camera has nothing to say."""
        return any(
            room.camera.has_open_run() or room.camera.ledger.in_flight() or room.pushing
            for room in self._rooms.values()
        )


def main(fd: int) -> int:
    """Serve the host's end of the socket ``fd``; returns the exit status."""
    configure_process()
    control: Channel[FromHost, ToHost] = Channel(socket.socket(fileno=fd), ToHost)
    with contextlib.suppress(ChannelClosed):  # the service is gone
        _serve(control)
    return 0


def _serve(control: Channel[FromHost, ToHost]) -> None:
    control.sock.settimeout(SETTINGS_TIMEOUT_S)
    parcel = control.receive()
    control.sock.settimeout(None)
    limit_sending(control.sock, SEND_TIMEOUT_S)
    settings = parcel.message
    if not isinstance(settings, HostSettings):
        raise TypeError(f"expected HostSettings first, got {type(settings).__name__}")
    # Of private memory: slots, libraries and what allocators set aside and do not use are not in it.
    resource.setrlimit(resource.RLIMIT_DATA, (settings.memory_limit_bytes,) * 2)
    confine(settings.sources.file_roots)
    slots = Slots(
        Slab.open(parcel.descriptors.pop(0)),
        height_px=settings.input_height_px,
        width_px=settings.input_width_px,
    )
    page = Page(Slab.open(parcel.descriptors.pop(0)), records=settings.streams)
    crop_slots = Slots(
        Slab.open(parcel.descriptors.pop(0)), height_px=settings.crop_px, width_px=settings.crop_px
    )
    faulthandler.enable(file=parcel.descriptors.pop(0))
    policy = SourcePolicy.of(settings.sources, allow_loopback=settings.allow_loopback)
    access = Access(policy)
    with HttpProxy(access, connect_timeout_s=settings.open_timeout_s):
        host = Host(control, settings, page=page, slots=slots, crop_slots=crop_slots, access=access)
        host.run()

"""A host's keeper: starts it, gives it streams, starts it again when it dies or hangs."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from vigil.clock import Clock
from vigil.data import OfflineReason
from vigil.errors import Unavailable
from vigil.fleet.child import Child
from vigil.fleet.classifiers import crop_px
from vigil.fleet.engine import EngineKeeper
from vigil.fleet.last_words import LastWords
from vigil.fleet.policy import PUSH_URI
from vigil.fleet.restart import RestartDelay
from vigil.fleet.settings import FleetSettings
from vigil.ipc.channel import Parcel, socket_pair
from vigil.ipc.messages import (
    AttachEngine,
    AttachHost,
    DetachEngine,
    FromHost,
    HostReady,
    HostSettings,
    ReaderHangs,
    StartStream,
    StopProcess,
    StopStream,
    StreamReport,
    StreamStopped,
    ToHost,
    UpdateStream,
)
from vigil.ipc.slab import CROP_SLOTS, PICTURE_SLOTS, SLOTS_A_STREAM, Slots
from vigil.metrics.page import Page
from vigil.metrics.totals import AccountTotals, StageTotals
from vigil.redact import REDACTOR
from vigil.spec import StreamSpec
from vigil.vision.manifest import Manifest

log = structlog.get_logger()

STOP_SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class HostWorld:
    """What all host keepers of a fleet share."""

    settings: FleetSettings
    manifest: Manifest
    clock: Clock
    engine: EngineKeeper
    stages: StageTotals
    accounts: AccountTotals


class HostListener(Protocol):
    """Who is told what hosts say."""

    def heard(self, host: "HostKeeper", parcel: Parcel[FromHost]) -> None:
        """A message about streams or pictures came."""

    def host_ended(self, host: "HostKeeper", reason: str, culprit: str) -> None:
        """The process is gone; its streams begin a new run in the next one.

        ``culprit`` is the stream whose reading ended it, "" where that is not known. It may be evicted,
        and the host given up.
        """


@dataclass(slots=True)
class _Placed:
    spec: StreamSpec
    record: int
    stopped: asyncio.Event
    leaving: bool = False
    played: bool = False  # a file to its end: it does not begin again with the next process

    @property
    def begins(self) -> bool:
        """Whether a process that is started opens it."""
        return not self.leaving and not self.played


class HostKeeper:
    """One host, through all its incarnations, with the streams that are placed on it."""

    def __init__(self, host_id: str, world: HostWorld, listener: HostListener) -> None:
        self.host_id = host_id
        self._world = world
        self._listener = listener
        self._delay = RestartDelay(world.settings, world.clock)
        self._child: Child[ToHost, FromHost] | None = None
        self._slots: Slots | None = None
        self._crop_slots: Slots | None = None
        self._page: Page | None = None
        self._placed: dict[str, _Placed] = {}
        self._free = set(range(world.settings.streams_per_host))
        self._ready = asyncio.Event()
        self._words: LastWords | None = None
        self._why = "died"
        self._hanging = ""  # the stream that it hangs in
        self._stopping = False
        self._started_s = 0.0
        self._restart: asyncio.Task[None] | None = None

    @property
    def room(self) -> int:
        """How many more streams fit."""
        return len(self._free)

    @property
    def opened(self) -> list[str]:
        """The ids of those that the process has open, or begins again with the next one."""
        return [stream_id for stream_id, placed in self._placed.items() if placed.begins]

    @property
    def streams(self) -> list[str]:
        """The ids of the streams placed here."""
        return list(self._placed)

    @property
    def pid(self) -> int:
        """The process's id; 0 while there is none."""
        return self._child.pid if self._child else 0

    @property
    def ready(self) -> bool:
        """Whether the process takes messages."""
        return self._ready.is_set()

    def expect_process(self) -> None:
        """Raise Unavailable while there is no process to ask."""
        if self._child is None:
            raise Unavailable("the process that reads this is being restarted; try again")

    async def start(self) -> None:
        """Start the process and give it its settings and its streams.

        All messages are sent before the first await: whoever else sends, while the process is being
        started, comes after the settings. A machine that has no room for it now is tried again later.
        """
        try:
            await self._open().start()
        except OSError as error:
            log.error("host_cannot_start", host=self.host_id, error=error.strerror)
            self._ended(-1)

    def _open(self) -> Child[ToHost, FromHost]:
        """A process that is not started yet, with everything said to it. Raises OSError."""
        world, settings = self._world, self._world.settings
        manifest = world.manifest
        self._slots = Slots.create(
            f"vigil-{self.host_id}-slots",
            count=settings.streams_per_host * SLOTS_A_STREAM + PICTURE_SLOTS,
            height_px=manifest.input_height_px,
            width_px=manifest.input_width_px,
        )
        side_px = crop_px(settings.classifiers)
        self._crop_slots = Slots.create(
            f"vigil-{self.host_id}-crops", count=CROP_SLOTS, height_px=side_px, width_px=side_px
        )
        self._page = Page.create(
            f"vigil-{self.host_id}-counters", records=settings.streams_per_host
        )
        world.stages.add_page(self._page)
        self._words = LastWords(f"vigil-{self.host_id}-last-words")
        self._child = Child(
            "vigil.host",
            FromHost,
            take=self._take,
            end=self._ended,
            user=settings.host_user,
            log=settings.log,
        )
        self._started_s = world.clock.monotonic_s()
        self._delay.started()
        self._child.open()
        self._child.send(
            HostSettings(
                host_id=self.host_id,
                model=manifest.name,
                classes=manifest.classes,
                class_thresholds=manifest.score_threshold,
                input_height_px=manifest.input_height_px,
                input_width_px=manifest.input_width_px,
                stretch=manifest.stretch,
                streams=settings.streams_per_host,
                open_timeout_s=settings.open_timeout_s,
                read_timeout_s=settings.read_timeout_s,
                max_staleness_s=settings.max_staleness_s,
                memory_limit_bytes=settings.host_memory_limit_bytes,
                classifiers=settings.classifiers,
                crop_px=side_px,
                trace_ratio=settings.trace_ratio,
                snapshot_px=settings.snapshot_px,
                sources=settings.sources,
                allow_loopback=settings.allow_loopback,
            ),
            descriptors=(
                self._slots.slab.fd,
                self._page.slab.fd,
                self._crop_slots.slab.fd,
                self._words.fd,
            ),
        )
        self.connect()
        for placed in self._placed.values():
            if placed.begins:
                self._begin(placed)
        return self._child

    @property
    def storming(self) -> bool:
        """Whether the process keeps dying."""
        return self._delay.storming

    @property
    def calm(self) -> bool:
        """Whether the process has lived long enough to be trusted."""
        age_s = self._world.clock.monotonic_s() - self._started_s
        return self.ready and age_s >= self._world.settings.calm_s

    def evict(self, stream_id: str) -> StreamSpec:
        """Let go of a stream while there is no process that could have it open."""
        placed = self._placed.pop(stream_id)
        self._free.add(placed.record)
        return placed.spec

    def give_up(self) -> None:
        """Start no other process when this one ends, or has just ended."""
        self._stopping = True

    def connect(self) -> None:
        """Join this host and the engine by a socket of their own, if both are there."""
        slots, crop_slots = self._slots, self._crop_slots
        if self._child is None or slots is None or crop_slots is None:
            return
        if self._world.engine.ready is None:
            return
        for_host, for_engine = socket_pair()
        try:
            self._world.engine.attach(
                AttachHost(
                    host_id=self.host_id,
                    input_height_px=slots.height_px,
                    input_width_px=slots.width_px,
                    crop_px=crop_slots.height_px,
                ),
                socket_fd=for_engine.fileno(),
                slots_fd=slots.slab.fd,
                crop_slots_fd=crop_slots.slab.fd,
            )
            self._child.send(AttachEngine(), descriptors=(for_host.fileno(),))
        finally:
            for_host.close()
            for_engine.close()

    def disconnect(self) -> None:
        """The engine is gone."""
        self.send(DetachEngine())

    def send(self, message: ToHost, *, payload: bytes = b"") -> None:
        """Send to the process; lost where there is none."""
        if self._child is not None:
            self._child.send(message, payload=payload)

    def place(self, spec: StreamSpec, *, played: bool = False) -> None:
        """Run a stream here; there must be room. A file that was ``played`` only takes its place."""
        placed = _Placed(spec, self._free.pop(), asyncio.Event(), played=played)
        self._placed[spec.stream_id] = placed
        if self._child is not None and placed.begins:
            self._begin(placed)

    def place_clip(self, spec: StreamSpec, clip_fd: int) -> None:
        """Play an open file once, in this process or not at all. Raises Unavailable."""
        self.expect_process()
        placed = _Placed(spec, self._free.pop(), asyncio.Event())
        self._placed[spec.stream_id] = placed
        self._begin(placed, descriptors=(clip_fd,))
        placed.played = True

    def change(self, spec: StreamSpec) -> None:
        """Give a placed stream a new definition with the same source."""
        self._placed[spec.stream_id].spec = spec
        self.send(UpdateStream(spec=spec))

    async def take_away(self, stream_id: str) -> None:
        """Stop a stream and wait until nothing of it is left; a host that cannot is killed."""
        placed = self._placed[stream_id]
        placed.leaving = True
        settings = self._world.settings
        if self._child is not None and self._child.running:
            self.send(StopStream(stream_id=stream_id))
            timeout_s = settings.open_timeout_s + settings.read_timeout_s + STOP_SLACK_S
            try:
                await asyncio.wait_for(placed.stopped.wait(), timeout_s)
            except TimeoutError:
                log.error("stream_does_not_stop", stream_id=stream_id, host=self.host_id)
                self._why = "hung"
                self._child.kill()
        self._world.accounts.end(stream_id)
        del self._placed[stream_id]
        self._free.add(placed.record)

    def check(self) -> None:
        """Kill a host that makes no progress; its end starts the next one."""
        if self._child is None or not self._child.running or self._page is None:
            return
        since_s = max(self._page.last_beat_s(), self._started_s)
        if self._world.clock.monotonic_s() - since_s > self._world.settings.hang_timeout_s:
            log.error("host_hangs", host=self.host_id, pid=self.pid)
            self._why = "hung"
            self._child.kill()

    async def stop(self, grace_s: float) -> None:
        """End the process after its streams' last events."""
        self._stopping = True
        if self._restart is not None:
            self._restart.cancel()
        if self._child is not None:
            self._child.send(StopProcess())
            await self._child.stop(grace_s)

    def _begin(self, placed: _Placed, *, descriptors: tuple[int, ...] = ()) -> None:
        assert self._page is not None
        assert self._child is not None
        placed.stopped.clear()
        self._page.ledger(placed.record).clear()  # ours to write until the host has the stream
        self._world.accounts.begin(placed.spec.stream_id, self._page, placed.record)
        source = placed.spec.source
        REDACTOR.remember(source.password, user=source.username)
        start = StartStream(record=placed.record, spec=placed.spec)
        self._child.send(start, descriptors=descriptors)

    def _take(self, parcel: Parcel[FromHost]) -> None:
        match parcel.message:
            case HostReady():
                self._ready.set()
            case ReaderHangs(stream_id=stream_id):
                self._end_hanging(stream_id)
            case StreamStopped(stream_id=stream_id):
                if stream_id in self._placed:
                    self._placed[stream_id].stopped.set()
            case StreamReport(stream_id=stream_id, reason=OfflineReason.ENDED):
                placed = self._placed.get(stream_id)
                if placed is not None:
                    placed.played = placed.spec.source.uri != PUSH_URI
                self._listener.heard(self, parcel)
            case _:
                self._listener.heard(self, parcel)

    def _end_hanging(self, stream_id: str) -> None:
        """Kill the process: a library that does not return cannot be ended otherwise."""
        if self._child is not None and not self._hanging:
            log.error("reader_hangs", host=self.host_id, stream_id=stream_id, pid=self.pid)
            self._why, self._hanging = "hung", stream_id
            self._child.kill()

    def _culprit(self) -> str:
        """The stream whose reading ended the process, as far as that is known; "" else."""
        hanging, self._hanging = self._hanging, ""
        if hanging or self._page is None or self._words is None:
            return hanging
        thread = self._words.thread()
        for stream_id, placed in self._placed.items():
            if thread and self._page.reader(placed.record) == thread:
                return stream_id
        return ""

    def _ended(self, status: int) -> None:
        culprit = self._culprit()
        self._ready.clear()
        self._world.engine.detach(self.host_id)
        for stream_id, placed in self._placed.items():
            self._world.accounts.end(stream_id)
            placed.stopped.set()
        if self._page is not None:
            self._world.stages.retire_page(self._page)
        for slots in (self._slots, self._crop_slots):
            if slots is not None:
                slots.slab.close()
        if self._words is not None:
            self._words.close()
        self._page = self._slots = self._crop_slots = self._child = self._words = None
        if self._stopping:
            return
        reason, self._why = self._why, "died"
        delay_s = self._delay.next_s()
        log.error(
            "host_ended", host=self.host_id, status=status, reason=reason, stream_id=culprit or None
        )
        self._listener.host_ended(self, reason, culprit)
        if self._stopping:  # it is given up
            return
        self._restart = asyncio.create_task(self._start_after(delay_s))

    async def _start_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self.start()

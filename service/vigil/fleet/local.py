"""The fleet of one machine: streams registered, placed on hosts and kept running."""

import asyncio
import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import structlog
from msgspec.structs import replace

from vigil.clock import Clock
from vigil.data import OfflineReason, StreamState
from vigil.errors import (
    Busy,
    FieldViolation,
    InvalidRequest,
    StreamExists,
    Unavailable,
    VigilError,
)
from vigil.fleet.admission import Admission, Demand
from vigil.fleet.baselines import Baselines
from vigil.fleet.book import StreamBook
from vigil.fleet.contract import (
    ClassResult,
    ExplainTarget,
    Explanation,
    PictureResult,
    PushSession,
    Snapshot,
    Stream,
)
from vigil.fleet.drift import DriftWatch
from vigil.fleet.endings import Endings
from vigil.fleet.event_pictures import EventPictures
from vigil.fleet.host import HostKeeper
from vigil.fleet.hosts import Hosts
from vigil.fleet.intake import EventSink
from vigil.fleet.pictures import Pictures
from vigil.fleet.policy import PUSH_URI
from vigil.fleet.push import LocalPushSession
from vigil.fleet.rates import RateJudge
from vigil.fleet.secrets import SecretReader, SecretUnreadable
from vigil.fleet.settings import FleetSettings
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import (
    FrameTraced,
    FromHost,
    LoginGranted,
    LoginWanted,
    ModelFails,
    RunGranted,
    RunWanted,
    StreamHistory,
    StreamReport,
    TakeBaselines,
    TracksEnded,
)
from vigil.metrics.service import StreamReading
from vigil.rules.usual import Baseline
from vigil.spec import Pace, StreamSpec
from vigil.store.history import History
from vigil.store.registry import Registry
from vigil.vision.manifest import Manifest

log = structlog.get_logger()

Result = TypeVar("Result")

WATCH_S = 1.0  # how often progress and rates are looked at


class LocalFleet:
    """Serves `vigil.fleet.contract.Fleet`. `start` brings up the engine and the registered streams."""

    def __init__(  # noqa: PLR0913 - the one place where what a fleet stands on is named
        self,
        *,
        settings: FleetSettings,
        manifest: Manifest,
        registry: Registry,
        sink: EventSink,
        clock: Clock,
        on_restart: Callable[[str, str], None],
        on_serving: Callable[[bool], None],
        secrets: SecretReader | None = None,
        history: History,
        on_traced: Callable[[FrameTraced], None] | None = None,
        event_pictures: EventPictures | None = None,
    ) -> None:
        self._settings = settings
        self._manifest = manifest
        self._registry = registry
        self._clock = clock
        self._on_restart = on_restart
        self._on_serving = on_serving
        self._on_traced = on_traced
        self.hosts = Hosts(
            settings=settings,
            manifest=manifest,
            clock=clock,
            sink=sink,
            listener=self,
            pictures=event_pictures,
        )
        self.book = StreamBook(clock)
        self._endings = Endings()
        self.drift = DriftWatch()
        self._pictures = Pictures(self.hosts, manifest, settings.classifiers)
        self._secrets = secrets or SecretReader()
        self._baselines = Baselines(history, clock)
        self._rates = RateJudge(
            self.book,
            self.hosts.accounts,
            clock,
            has_engine=lambda: self.hosts.engine.ready is not None,
        )
        self._admission = Admission(
            cores=len(os.sched_getaffinity(0)),
            max_load=settings.max_load,
            clock=clock,
        )
        self._lost_connections: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._changing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watch: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._entering: dict[str, StreamSpec] = {}  # have a place kept for them
        self._registering: set[str] = set()  # on their way into the registry
        self._pushing: set[str] = set()  # registered streams that a client pushes into

    def load(self) -> None:
        """Know the registered streams: before anyone may ask for one."""
        for spec, generation in self._registry.list(limit=max(1, len(self._registry))):
            self.book.enter(spec, generation)

    async def start(self) -> None:
        """Start the engine, one host, and every registered stream that is enabled."""
        await self.hosts.start()
        for stream in self.book.all():
            await self._resume(stream.spec.stream_id)
        self._watch = asyncio.create_task(self._watch_streams(), name="fleet-watch")

    async def _resume(self, stream_id: str) -> None:
        """Run a registered stream, unless a client has changed or removed it meanwhile."""
        async with self._lock(stream_id):
            if stream_id in self._registry and self.hosts.host_of(stream_id) is None:
                spec = self._registry.get(stream_id).spec
                if spec.enabled:
                    played = self._registry.played(stream_id)
                    await self.hosts.place(spec, played=played)
                    if played:
                        self.book.set(
                            stream_id,
                            state=StreamState.OFFLINE,
                            reason=OfflineReason.ENDED,
                            detail="the file was played to its end before the service was started",
                        )

    async def stop(self, grace_s: float) -> None:
        """End the streams, take their last events, end every process."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.hosts.stop(grace_s)

    # what the contract asks for

    async def add(self, spec: StreamSpec) -> Stream:
        """Register and start a stream."""
        return await self._finish(self._add(spec))

    async def _add(self, spec: StreamSpec) -> Stream:
        stream_id = spec.stream_id
        async with self._lock(stream_id):
            if stream_id not in self._registry and stream_id in self.book:
                raise StreamExists(f"a client pushes frames as {stream_id!r} at present")
            with self._place_for(stream_id), self._room_for(spec):
                registered = await self._registry.add(spec)
                if stream_id not in self.book:
                    self.book.enter(*registered)
                if spec.enabled and self.hosts.host_of(stream_id) is None:
                    await self.hosts.place(spec)
            return self.get(stream_id)

    async def update(self, spec: StreamSpec, *, fields: frozenset[str], generation: int) -> Stream:
        """Change a stream, and restart its capture only if its source is another."""
        return await self._finish(self._update(spec, fields=fields, generation=generation))

    async def _update(self, spec: StreamSpec, *, fields: frozenset[str], generation: int) -> Stream:
        async with self._lock(spec.stream_id):
            held = self._registry.get(spec.stream_id).spec
            named = fields or frozenset(StreamSpec.__struct_fields__)
            wanted = replace(held, **{field: getattr(spec, field) for field in named})
            with self._room_for(wanted):
                registered = await self._registry.update(wanted, generation=generation)
                self.book.define(*registered)
                await self._apply(held, registered.spec)
            return self.get(spec.stream_id)

    async def remove(self, stream_id: str) -> None:
        """Stop and forget a stream."""
        await self._finish(self._remove(stream_id))

    async def _remove(self, stream_id: str) -> None:
        async with self._lock(stream_id):
            await self._registry.remove(stream_id)
            await self._end(stream_id)
            await self._baselines.forget(stream_id)

    def get(self, stream_id: str) -> Stream:
        """One stream."""
        return self.book.get(stream_id)

    def list(self, *, after: str, limit: int) -> list[Stream]:
        """A page of the registered streams."""
        page = self._registry.list(after=after, limit=limit)
        return [self.book.get(registered.spec.stream_id) for registered in page]

    def watch(self) -> AsyncIterator[Stream]:
        """Every stream, then changes."""
        return self.book.watch()

    async def detect_image(
        self, encoded: bytes, *, min_score: float, classes: tuple[str, ...]
    ) -> PictureResult:
        """Find the objects in one encoded picture."""
        return await self._pictures.detect(encoded, min_score=min_score, classes=classes)

    async def classify_image(
        self,
        encoded: bytes,
        *,
        classifier: str,
        part: tuple[float, float, float, float] | None,
        top_k: int,
    ) -> ClassResult:
        """What one encoded picture shows."""
        return await self._pictures.classify(encoded, classifier=classifier, part=part, top_k=top_k)

    async def snapshot(self, stream_id: str, *, annotated: bool, max_width_px: int) -> Snapshot:
        """The next analysed picture of a stream."""
        return await self._pictures.snapshot(
            self.get(stream_id), annotated=annotated, max_width_px=max_width_px
        )

    async def baseline(self, stream_id: str, rule_id: str, edge: str) -> Baseline:
        """The curve that a rule with a learnt limit goes by."""
        return await self._baselines.one(self.get(stream_id).spec, rule_id, edge)

    async def explain(self, stream_id: str, target: ExplainTarget) -> Explanation:
        """What in the next analysed picture of a stream made the model say so."""
        stream = self.get(stream_id)
        classes = self._classes_of(target.classifier)
        if target.class_name and target.class_name not in classes:
            raise InvalidRequest(
                [FieldViolation("class_name", f"is none of the model's: {', '.join(classes)}")]
            )
        return await self._pictures.explain(stream, target)

    def _classes_of(self, classifier: str) -> tuple[str, ...]:
        """The classes of a loaded classifier, or of the detector. Raises InvalidRequest."""
        if not classifier:
            return self._manifest.classes
        infos = {info.name: info for info in self._settings.classifiers}
        if classifier not in infos:
            loaded = ", ".join(infos) or "none"
            raise InvalidRequest([FieldViolation("classifier", f"is not loaded; loaded: {loaded}")])
        return infos[classifier].classes

    async def open_push(self, spec: StreamSpec) -> PushSession:
        """Frames of a client, into a registered stream or one that lives as long as the session."""
        opening = self._spawn(self._open_push(spec))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._close_unwanted)
            raise

    async def _open_push(self, spec: StreamSpec) -> LocalPushSession:
        async with self._lock(spec.stream_id):
            registered = spec.stream_id in self._registry
            if registered:
                held = self._registry.get(spec.stream_id).spec
                if not held.source.pushed:
                    raise StreamExists(
                        f"stream {spec.stream_id!r} has a source of its own; push under another id"
                    )
            if spec.stream_id in self._pushing or (not registered and spec.stream_id in self.book):
                raise StreamExists(f"a client pushes frames as {spec.stream_id!r} already")
            if not registered:
                with self._room_for(spec):
                    self.book.enter(spec, 1)
                    await self.hosts.place(spec)
            host = self.hosts.host_of(spec.stream_id)
            if host is None:
                raise Unavailable(f"stream {spec.stream_id!r} is disabled; enable it first")
            self._pushing.add(spec.stream_id)
        return LocalPushSession(
            spec.stream_id,
            host=host,
            pictures=self._pictures,
            close=self._end_push,
        )

    def has_spare_capacity(self) -> bool:
        """Whether the engine serves and no stream is analysed below its rate."""
        states = {stream.status.state for stream in self.book.all()}
        return self.hosts.engine.ready is not None and StreamState.DEGRADED not in states

    def readings(self) -> Sequence[StreamReading]:
        """Every stream's state and account, for a scrape."""
        return [
            StreamReading(
                stream_id=stream.spec.stream_id,
                state=stream.status.state,
                reconnects=dict(self._lost_connections.get(stream.spec.stream_id, ())),
                account=self.hosts.accounts.account(stream.spec.stream_id),
                episodes=self.hosts.episodes.counts(stream.spec),
            )
            for stream in self.book.all()
        ]

    # what the processes say

    def heard(self, host: HostKeeper, parcel: Parcel[FromHost]) -> None:
        """A message of a host; events have gone to the outbox already."""
        match parcel.message:
            case TracksEnded(stream_id=stream_id, score=score, fragments=fragments):
                if stream_id in self._registry:
                    self.drift.take(stream_id, score=score, fragments=fragments)
            case FrameTraced() as traced:
                if self._on_traced is not None:
                    self._on_traced(traced)
            case RunWanted(stream_id=stream_id):
                self._spawn(self._grant_run(host, stream_id))
            case StreamHistory() as history:
                self._spawn(self._learn(host, history))
            case LoginWanted(stream_id=stream_id):
                self._spawn(self._grant_login(host, stream_id))
            case ModelFails(stream_id=stream_id, fails=fails):
                self._rates.note_model(stream_id, fails=fails)
            case StreamReport() as report:
                self._take_report(host, report)
            case _:
                self._pictures.heard(parcel)

    def _take_report(self, host: HostKeeper, report: StreamReport) -> None:
        """Show a stream's state; one without pictures once what its run told is in the event log."""
        stream_id = report.stream_id
        if report.reason is not None and report.retry_in_s is not None:
            self._lost_connections[stream_id][report.reason.value] += 1
        if report.state is not StreamState.OFFLINE:
            self._endings.forget(stream_id)
            self._show(report)
            return

        def show(late: str) -> None:
            self._show(replace(report, detail=report.detail + late))
            if report.reason is OfflineReason.ENDED:
                self._spawn(self._note_played(host, stream_id))

        self._endings.hold(stream_id, partial(self.hosts.events_kept, host), show)

    def _show(self, report: StreamReport) -> None:
        self.book.note(report)
        self._log_state(report)

    def _log_state(self, report: StreamReport) -> None:
        """One line for each picture that comes or stays away."""
        if report.state not in (StreamState.ONLINE, StreamState.OFFLINE):
            return
        if report.stream_id not in self.book:
            return
        run = self.book.get(report.stream_id).status.run
        bound = log.bind(stream_id=report.stream_id, run=run)
        if report.reason is None:
            bound.info(
                "stream_online",
                width_px=report.width_px,
                height_px=report.height_px,
                source_fps=round(report.source_fps, 2),
            )
        else:
            bound.warning(
                "stream_offline",
                reason=report.reason.value,
                detail=report.detail,
                retry_in_s=report.retry_in_s,
            )

    def host_ended(self, host: HostKeeper) -> None:
        """Its streams connect anew in the next process."""
        self._pictures.host_ended(host.host_id)
        for stream_id in host.opened:
            self._rates.forget(stream_id)
            self._endings.forget(stream_id)
            self.hosts.episodes.forget(stream_id)
            if stream_id not in self.book:  # a golden clip: nobody watches it
                continue
            pushed = self.book.get(stream_id).spec.source.uri == PUSH_URI
            self.book.set(
                stream_id,
                state=StreamState.PENDING if pushed else StreamState.CONNECTING,
                reason=None,
                detail="its process is being restarted",
                next_retry_s=None,
                analysed_fps=0.0,
            )

    def serving(self, serving: bool) -> None:
        """The engine is ready, or no longer."""
        self._on_serving(serving)

    def restarted(self, process: str, reason: str) -> None:
        """A child died and is started again."""
        self._on_restart(process, reason)

    def isolated(self, host: HostKeeper, stream_id: str, *, deaths: int, retry_in_s: float) -> None:
        """A stream is out, and will be tried again alone."""
        next_retry_s = self._clock.utc_s() + retry_in_s
        why = f"reading it ended its process {deaths} times; it is tried again in one of its own"

        def show(late: str) -> None:
            self.book.set(
                stream_id,
                state=StreamState.OFFLINE,
                reason=OfflineReason.QUARANTINED,
                detail=why + late,
                next_retry_s=next_retry_s,
                analysed_fps=0.0,
            )

        self._endings.hold(stream_id, partial(self.hosts.events_kept, host), show)

    async def _grant_run(self, host: HostKeeper, stream_id: str) -> None:
        try:
            run = await self._registry.next_run(stream_id)
        except VigilError as error:  # the reader gives up waiting, and asks again after a pause
            log.error("run_not_granted", stream_id=stream_id, error=str(error))
            return
        self.hosts.episodes.forget(stream_id)
        host.send(RunGranted(stream_id=stream_id, run=run))
        self.book.set(stream_id, run=run)
        await self._tell_baselines(host, stream_id)

    async def _learn(self, host: HostKeeper, history: StreamHistory) -> None:
        """Keep what a stream's rules have seen, and tell them what they learn from it."""
        stream_id = history.stream_id
        if stream_id not in self.book:
            return  # removed meanwhile
        try:
            learnt = await self._baselines.note(self.book.get(stream_id).spec, history.samples)
        except VigilError as error:  # the disk: a gap in the history, and nothing else
            log.warning("history_lost", stream_id=stream_id, detail=str(error))
            return
        if learnt:
            host.send(TakeBaselines(stream_id=stream_id, baselines=learnt))

    async def _tell_baselines(self, host: HostKeeper, stream_id: str) -> None:
        """Give a stream's rules the limits that were learnt so far."""
        if stream_id not in self.book:
            return  # removed meanwhile
        learnt = await self._baselines.of(self.book.get(stream_id).spec)
        if learnt:
            host.send(TakeBaselines(stream_id=stream_id, baselines=learnt))

    async def _note_played(self, host: HostKeeper, stream_id: str) -> None:
        """A file that ended is not played again by the next start, once all its events are kept."""
        await self.hosts.events_kept(host)
        async with self._lock(stream_id):
            if stream_id not in self._registry or self.hosts.host_of(stream_id) is not host:
                return
            if self._registry.get(stream_id).spec.source.pushed:
                return
            if self.book.get(stream_id).status.reason is not OfflineReason.ENDED:
                return
            try:
                await self._registry.note_played(stream_id)
            except VigilError as error:
                log.error("end_not_noted", stream_id=stream_id, error=str(error))

    async def _grant_login(self, host: HostKeeper, stream_id: str) -> None:
        if stream_id not in self.book:
            return  # removed meanwhile
        source = self.book.get(stream_id).spec.source
        try:
            password = await asyncio.to_thread(
                self._secrets.read, source.secret_ref, user=source.username
            )
        except SecretUnreadable as error:
            host.send(LoginGranted(stream_id=stream_id, problem=str(error)))
        else:
            host.send(LoginGranted(stream_id=stream_id, password=password))

    async def _apply(self, held: StreamSpec, wanted: StreamSpec) -> None:
        """Make what runs agree with a changed definition."""
        stream_id = wanted.stream_id
        running = self.hosts.host_of(stream_id)
        if running is not None and wanted.enabled and wanted.source == held.source:
            running.change(wanted)
            await self._tell_baselines(running, stream_id)
            return
        if wanted.source != held.source:
            self.drift.forget(stream_id)
        await self.hosts.take_away(stream_id)  # a quarantined one, too, which has no host
        self._endings.forget(stream_id)
        self._rates.forget(stream_id)
        if wanted.enabled:
            self.book.set(
                stream_id,
                state=StreamState.PENDING,
                reason=None,
                detail="",
                next_retry_s=None,
            )
            await self.hosts.place(wanted)
        else:
            self.book.set(
                stream_id,
                state=StreamState.DISABLED,
                reason=None,
                detail="",
                next_retry_s=None,
                analysed_fps=0.0,
            )

    async def _end(self, stream_id: str) -> None:
        await self.hosts.take_away(stream_id)
        self._endings.forget(stream_id)
        self.hosts.accounts.forget(stream_id)
        self.hosts.episodes.forget(stream_id)
        self._rates.forget(stream_id)
        self.drift.forget(stream_id)
        self._lost_connections.pop(stream_id, None)
        self.book.remove(stream_id)

    async def _end_push(self, stream_id: str) -> None:
        self._pushing.discard(stream_id)
        await self._finish(self._end_unregistered(stream_id))

    async def _end_unregistered(self, stream_id: str) -> None:
        async with self._lock(stream_id):
            if stream_id not in self._registry:
                await self._end(stream_id)

    def _close_unwanted(self, opening: asyncio.Task[LocalPushSession]) -> None:
        """The client was gone before its session was open."""
        if not opening.cancelled() and opening.exception() is None:
            self._spawn(opening.result().__aexit__(None, None, None))

    async def _watch_streams(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self.hosts.check()
                for stream_id in self.hosts.placed():
                    self._rates.judge(stream_id)
                self._note_load()
            except Exception:  # supervision goes on: nobody else would notice a hang
                log.exception("watching_failed")

    def _note_load(self) -> None:
        """What the streams that have pictures cost, for the judgement of the next one."""
        placed = set(self.hosts.placed())
        running = [
            stream
            for stream in self.book.all()
            if stream.spec.stream_id in placed and stream.status.state.has_pictures
        ]
        engine = self.hosts.engine
        self._admission.note(
            self.hosts.cpu_s(),
            engine_pid=engine.pid,
            engine_threads=engine.ready.threads if engine.ready is not None else 1,
            demand=_demand(stream.spec for stream in running),
            elastic=any(stream.spec.source.pace is Pace.FAST for stream in running),
        )

    @contextlib.contextmanager
    def _place_for(self, stream_id: str) -> Iterator[None]:
        """Keep a place in the registry for a stream on its way in. Raises Busy where there is none."""
        most = self._settings.max_registered
        if stream_id not in self._registry:
            if len(self._registry) + len(self._registering) >= most:
                raise Busy(
                    f"{most} streams are registered, hosts.max_registered allows no more: remove one"
                )
            self._registering.add(stream_id)
        try:
            yield
        finally:
            self._registering.discard(stream_id)

    @contextlib.contextmanager
    def _room_for(self, spec: StreamSpec) -> Iterator[None]:
        """Keep a place for a stream while it is on its way in. Raises Busy where there is none."""
        running = {*self.hosts.placed(), *self._entering}
        if spec.enabled and spec.stream_id not in running:
            if len(running) >= self._settings.max_streams:
                raise Busy(
                    f"{len(running)} streams run, hosts.max_streams allows no more: "
                    "remove or disable one"
                )
            self._expect_head_room(spec)
            self._entering[spec.stream_id] = spec
        try:
            yield
        finally:
            self._entering.pop(spec.stream_id, None)

    def _expect_head_room(self, spec: StreamSpec) -> None:
        """Raise Busy where one stream more would be late, and all others with it."""
        specs = {stream.spec.stream_id: stream.spec for stream in self.book.all()} | self._entering
        running = {*self.hosts.placed(), *self._entering}
        placed = _demand(specs[stream_id] for stream_id in running & specs.keys())
        room = self._admission.head_room(placed, frames_per_s=spec.detect_fps)
        if room is not None and room.streams < 1:
            raise Busy(
                f"no head-room: {placed.streams} streams use {room.used:.2f} of the {room.limit:.2f}"
                f" cores that hosts.max_load allows ({room.what}), this one {room.a_stream:.2f}; remove or"
                " disable one, or lower detect_fps"
            )

    def _lock(self, stream_id: str) -> asyncio.Lock:
        """Changes to one stream happen one after the other; to different streams beside each other."""
        lock = self._changing.get(stream_id)
        if lock is None:
            lock = self._changing[stream_id] = asyncio.Lock()
        return lock

    async def _finish(self, change: Coroutine[Any, Any, Result]) -> Result:
        """Carry a change through though its caller, an RPC, is cancelled: no half of it may stand."""
        return await asyncio.shield(self._spawn(change))

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _demand(specs: Iterable[StreamSpec]) -> Demand:
    rates = [spec.detect_fps for spec in specs]
    return Demand(streams=len(rates), frames_per_s=sum(rates))

"""The service's composition root: the only place that constructs and wires its parts."""

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
import structlog

from vigil.accuracy.interval import Share
from vigil.api.certificates import Certificates
from vigil.api.console import Console, Figures
from vigil.api.guard import Guard
from vigil.api.past import Past
from vigil.api.server import Security, Server
from vigil.api.stream_service import DefinitionReader
from vigil.api.web import WebServer
from vigil.clock import SystemClock
from vigil.config import MIB, Config, HostsConfig, listens_on_loopback
from vigil.errors import InvalidConfig, VigilError
from vigil.events.embedded import EmbeddedRedis
from vigil.events.pipeline import EventPipeline
from vigil.events.publisher import REASONS
from vigil.events.redis_server import RISK_KINDS
from vigil.events.settings import EventSettings
from vigil.events.verdicts import Verdicts
from vigil.fleet.child import check_user
from vigil.fleet.classifiers import classifier_infos, label_names
from vigil.fleet.event_pictures import EventPictures
from vigil.fleet.golden import VirtualCamera
from vigil.fleet.golden_judge import Judge
from vigil.fleet.golden_rounds import GoldenRounds
from vigil.fleet.local import LocalFleet
from vigil.fleet.policy import SourcePolicy
from vigil.fleet.secrets import SecretReader
from vigil.fleet.settings import FleetSettings
from vigil.ipc.messages import ClassifierInfo
from vigil.logs import StandardError, configure_logs, take_over_process
from vigil.metrics.service import Reading, ServiceMetrics, VerdictReading
from vigil.redact import REDACTOR
from vigil.spec import CaptureBackend
from vigil.store.database import Database
from vigil.store.history import History
from vigil.store.registry import Registry
from vigil.store.snapshots import SnapshotFolder
from vigil.store.tokens import TokenFile
from vigil.traces.frames import FrameTraces
from vigil.vision.manifest import (
    Manifest,
    default_model,
    default_models_dir,
    expect_classifier,
    load_manifest,
)

if TYPE_CHECKING:
    from vigil.traces.export import SpanExport

log = structlog.get_logger()

ADDRESSES_FILE = "addresses.json"  # in the state folder, while the service listens
FLEET_LEAST_S = 0.75  # for streams to end in where calls in hand took the whole grace
FLUSH_LEAST_S = 0.25  # for Redis to take what is left
_NVIDIA_DEVICE = Path("/dev/nvidiactl")  # torch would tell better, and is not loaded here


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running service listens: for tools on this machine that started it on any free port."""

    grpc: str
    http: str


def serve(config: Config) -> int:
    """Run the service until a signal, and end the process; returns the exit status of a failed start."""
    configure_logs(level=config.log.level, form=config.log.format)
    take_over_process()
    remember_password(config.redis.url)
    try:
        asyncio.run(_serve(config))
    except VigilError as error:
        log.error("cannot_serve", error=str(error))
        return 1
    # All is closed. The interpreter would take itself apart for another 0.2 s of processor time, which
    # is more than a second where others want it, too, and out of the grace of whoever waits.
    StandardError().flush()
    os._exit(0)


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_or_exit, stop)
    grace = _Grace(config.grpc.grace_s)
    async with contextlib.AsyncExitStack() as stack:
        events = await _start(config, stack, grace)
        try:
            await _until_stopped(stop, events)
        finally:
            log.info("stopping", grace_s=config.grpc.grace_s)
            grace.begin()
    log.info("stopped")


async def _until_stopped(stop: asyncio.Event, events: EventPipeline) -> None:
    """Wait for a signal; raises what a background task of the event pipeline failed with."""
    signalled = asyncio.create_task(stop.wait())
    failed = asyncio.create_task(events.watch_failure())
    done, waiting = await asyncio.wait((signalled, failed), return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()


def _stop_or_exit(stop: asyncio.Event) -> None:
    """The first signal asks for an orderly end; a second one does not wait for it."""
    if stop.is_set():
        # What is in the outbox is on disk; the children end when their sockets close.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    stop.set()


class _Grace:
    """How long a stop may take, shared by all that end one after the other."""

    def __init__(self, grace_s: float) -> None:
        self._clock = SystemClock()
        self._grace_s = grace_s
        self._ends_s = math.inf

    def begin(self) -> None:
        """The time runs from now on."""
        self._ends_s = self._clock.monotonic_s() + self._grace_s

    def left_s(self, *, least_s: float) -> float:
        """What is left of it, and ``least_s`` however long the others took."""
        return min(self._grace_s, max(least_s, self._ends_s - self._clock.monotonic_s()))

    async def stop(self, fleet: LocalFleet, events: EventPipeline) -> None:
        """End the streams; Redis has what is left then."""
        await fleet.stop(self.left_s(least_s=FLEET_LEAST_S))
        events.flush_within(self.left_s(least_s=FLUSH_LEAST_S))


async def _start(config: Config, stack: contextlib.AsyncExitStack, grace: _Grace) -> EventPipeline:
    """Construct everything; the stack ends it in the reverse order. Returns what may fail by itself."""
    clock = SystemClock()
    manifest = load_manifest(model_name(config), models_dir=models_dir(config))
    classifiers = classifier_infos(classifier_manifests(config).values())
    state = Path(config.state.path)
    secured = security(config, state)
    check_user(config.hosts.user)
    secrets = SecretReader.taking(config.secrets, os.environ)
    database = stack.enter_context(Database(state))
    registry = Registry(database)
    registry.load()
    metrics = ServiceMetrics()
    redis_url = _redis_url(config, state, stack)
    traces = await stack.enter_async_context(_traces(config, metrics, manifest))
    pipeline = EventPipeline(
        database,
        redis_url=redis_url,
        settings=event_settings(config),
        clock=clock,
        hooks=metrics,
        tracer=traces.frames if traces else None,
    )
    events = await stack.enter_async_context(pipeline)
    verdicts = Verdicts(database, clock)
    verdicts.load()
    health = _Health()
    pictures = await stack.enter_async_context(_event_pictures(config, state, metrics))
    fleet = LocalFleet(
        settings=_fleet_settings(config, manifest, classifiers),
        manifest=manifest,
        registry=registry,
        sink=events.outbox,
        clock=clock,
        on_restart=metrics.on_restart,
        on_serving=health.serving,
        secrets=secrets,
        history=History(database),
        on_traced=traces.frames.take if traces else None,
        event_pictures=pictures,
    )
    metrics.expose(
        _Scrape(
            fleet,
            events,
            manifest,
            verdicts,
            label_names(classifiers),
            secured.certificates,
            pictures,
        )
    )
    past = Past(events.log, verdicts, pictures)
    fleet.load()
    stack.push_async_callback(grace.stop, fleet, events)
    server = await stack.enter_async_context(
        Server(
            config.grpc,
            fleet=fleet,
            past=past,
            reader=DefinitionReader(
                policy=SourcePolicy.of(config.sources, allow_loopback=listens_on_loopback(config)),
                default_backend=CaptureBackend(config.capture.backend),
                secrets=secrets,
                model=manifest.name,
                classes=manifest.classes,
                classifiers={info.name: info.classes for info in classifiers},
                snapshots=pictures is not None,
            ),
            security=secured,
            model=manifest.name,
            observer=metrics,
            clock=clock,
            tracer=traces.export if traces else None,
        )
    )
    health.server = server
    web = await stack.enter_async_context(
        WebServer(
            config.http,
            registry=metrics.registry,
            ready=lambda: health.is_serving,
            troubles=events.troubles,
            guard=secured.guard,
            certificates=secured.certificates,
            console=(
                Console(
                    fleet=fleet,
                    past=past,
                    guard=secured.guard,
                    service=_Live(fleet, events, metrics, manifest),
                    ready=lambda: health.is_serving,
                    clock=clock,
                )
                if config.http.console
                else None
            ),
        )
    )
    await fleet.start()
    await stack.enter_async_context(_golden(config, fleet, metrics, manifest))
    _announce(state, Addresses(grpc=server.address, http=web.address), stack)
    log.info("listening", grpc=server.address, http=web.address, model=manifest.name)
    return events


@dataclass(frozen=True, slots=True)
class _Live:
    """What the live page shows of the whole service (see `vigil.api.console.Service`)."""

    fleet: LocalFleet
    events: EventPipeline
    metrics: ServiceMetrics
    manifest: Manifest

    def figures(self) -> Figures:
        ready = self.fleet.hosts.engine.ready
        return Figures(
            model=self.manifest.name,
            device=ready.device if ready else "",
            precision=ready.precision if ready else "",
            form=ready.form if ready else "",
            outbox_events=self.events.outbox.pending().events,
            redis=self.events.publisher.state.reason or "connected",
            troubles=self.events.troubles(),
        )

    def latencies(self) -> dict[float, float]:
        return self.metrics.latencies()


@dataclass(frozen=True, slots=True)
class _Traces:
    """Where traces are made, and where they go."""

    frames: FrameTraces
    export: "SpanExport"


@contextlib.asynccontextmanager
async def _traces(
    config: Config, metrics: ServiceMetrics, manifest: Manifest
) -> AsyncIterator[_Traces | None]:
    """Traces are sent while this context lasts, where they are configured."""
    if not config.traces.endpoint:
        yield None
        return
    from vigil.traces.export import SpanExport  # an extra, which costs 10 MB where it is loaded

    clock = SystemClock()
    async with SpanExport(config.traces, count=metrics.on_spans, clock=clock) as export:
        frames = FrameTraces(export.frame, clock=clock, model=manifest.name)
        try:
            yield _Traces(frames, export)
        finally:
            frames.close()


@contextlib.asynccontextmanager
async def _event_pictures(
    config: Config, state: Path, metrics: ServiceMetrics
) -> AsyncIterator[EventPictures | None]:
    """Pictures of events are kept while this context lasts, where that is configured."""
    wanted = config.snapshots
    if not wanted.enabled:
        yield None
        return
    folder = SnapshotFolder(
        state / "snapshots",
        retention_s=wanted.retention_s,
        max_bytes=wanted.max_bytes,
        on_deleted=metrics.on_snapshots_deleted,
    )
    async with EventPictures(folder, clock=SystemClock(), observer=metrics) as pictures:
        yield pictures


@contextlib.asynccontextmanager
async def _golden(
    config: Config, fleet: LocalFleet, metrics: ServiceMetrics, manifest: Manifest
) -> AsyncIterator[None]:
    """Golden clips are played while this context lasts, where they are configured."""
    if not config.golden.enabled:
        yield
        return
    rounds = GoldenRounds(
        config.golden,
        camera=VirtualCamera(
            fleet.hosts, classes=manifest.classes, thresholds=manifest.score_threshold
        ),
        judge=Judge(folder=config.golden.folder, state=Path(config.state.path)),
        spare=fleet.has_spare_capacity,
        observer=metrics.accuracy,
        clock=SystemClock(),
    )
    metrics.accuracy.on_golden_interval(config.golden.interval_s)
    task = asyncio.create_task(rounds.run(), name="golden-rounds")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def security(config: Config, state: Path) -> Security:
    """Who may ask. Raises InvalidConfig where anyone beyond this machine could."""
    tokens = TokenFile(state)
    tokens.all()
    if not (listens_on_loopback(config) or config.tls.client_ca or tokens.required):
        raise InvalidConfig(
            "listening beyond loopback needs an authentication method: make a token"
            " (`vigil token add NAME`), or set tls.client_ca"
        )
    certificates = Certificates(config.tls) if config.tls.cert else None
    return Security(guard=Guard(tokens), certificates=certificates)


class _Health:
    """Tells the gRPC health service what the fleet says of itself."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.is_serving = False
        self._task: asyncio.Task[None] | None = None

    def serving(self, serving: bool) -> None:
        self.is_serving = serving
        if self.server is not None:
            self._task = asyncio.create_task(self.server.set_serving(serving))


@dataclass(frozen=True, slots=True)
class _Scrape:
    """What Prometheus is shown (see `vigil.metrics.service.Source`)."""

    fleet: LocalFleet
    events: EventPipeline
    manifest: Manifest
    verdicts: Verdicts
    labels: tuple[tuple[str, str], ...]
    certificates: Certificates | None
    pictures: EventPictures | None

    def read(self) -> Reading:
        hosts = self.fleet.hosts
        page, ready = hosts.engine.page, hosts.engine.ready
        queue_frames, oldest_frame_s = page.queue() if page is not None else (0, 0.0)
        pending = self.events.outbox.pending()
        redis_state = self.events.publisher.state.reason or "connected"
        risks = {risk.kind for risk in self.events.risks}
        device = {}
        if ready is not None:
            device = {
                "device": ready.device,
                "precision": ready.precision,
                "form": ready.form,
                "model": ready.model,
            }
        return Reading(
            streams=self.fleet.readings(),
            stages=hosts.stages.stages(),
            batches=hosts.stages.batches(),
            queue_frames=queue_frames,
            oldest_frame_s=oldest_frame_s,
            outbox_events=pending.events,
            outbox_oldest_s=pending.oldest_s,
            outbox_degraded=self.events.outbox.state.degraded is not None,
            redis={state: state == redis_state for state in ("connected", *REASONS)},
            redis_risks={kind: kind in risks for kind in RISK_KINDS},
            device=device,
            compiled=ready.compiled if ready is not None else {},
            classes=self.manifest.classes,
            drift=self.fleet.drift.readings(),
            certificate_expires_s=(
                self.certificates.current().expires_at_s if self.certificates else None
            ),
            verdicts=self._verdicts({stream.spec.stream_id for stream in self.fleet.book.all()}),
            labels=self.labels,
            crops=hosts.stages.crops(),
            snapshots=self.pictures.kept if self.pictures is not None else None,
        )

    def _verdicts(self, known: set[str]) -> list[VerdictReading]:
        """Of streams that are there: else series would outlive their streams."""
        readings = []
        for stream_id, rule_type, correct, of in self.verdicts.judged():
            if stream_id in known:
                share = Share(correct, of)
                low, high = share.interval()
                readings.append(
                    VerdictReading(
                        stream_id, rule_type, precision=share.value, low=low, high=high, of=of
                    )
                )
        return readings


def _announce(state: Path, addresses: Addresses, stack: contextlib.AsyncExitStack) -> None:
    path = state / ADDRESSES_FILE
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(msgspec.json.encode(addresses))
    scratch.replace(path)  # whoever waits for the file sees it whole
    stack.callback(path.unlink, missing_ok=True)


def model_name(config: Config) -> str:
    """The configured model, or the default of the device at hand."""
    if config.model.name:
        return config.model.name
    device = config.model.device
    if device == "auto":
        device = "cuda" if _NVIDIA_DEVICE.exists() else "cpu"
    return default_model(device, models_dir=models_dir(config))


def classifier_manifests(config: Config) -> dict[str, Manifest]:
    """The configured classifiers, by name. Raises UnknownModel, DamagedModel."""
    folder = models_dir(config)
    return {
        name: expect_classifier(load_manifest(name, models_dir=folder))
        for name in config.engine.classifiers
    }


def models_dir(config: Config) -> Path:
    """Where the models lie."""
    return Path(config.model.folder) if config.model.folder else default_models_dir()


def remember_password(url: str) -> None:
    """No log line of this process shows the password of a URL."""
    try:
        parts = urlsplit(url)
        REDACTOR.remember(unquote(parts.password or ""), user=unquote(parts.username or ""))
    except ValueError:
        REDACTOR.remember(url)  # no URL: who knows which part of it is the password


def _redis_url(config: Config, state: Path, stack: contextlib.AsyncExitStack) -> str:
    if config.redis.url != "embedded":
        return config.redis.url
    return stack.enter_context(EmbeddedRedis(state / "redis")).url


def event_settings(config: Config) -> EventSettings:
    """What the configuration says about events."""
    return EventSettings(
        prefix=config.redis.prefix,
        retention_s=config.events.retention_s,
        max_bytes=config.events.max_bytes,
    )


def _fleet_settings(
    config: Config, manifest: Manifest, classifiers: tuple[ClassifierInfo, ...]
) -> FleetSettings:
    return FleetSettings(
        models_dir=models_dir(config),
        model=manifest.name,
        device=config.model.device,
        max_batch=config.engine.max_batch,
        linger_s=config.engine.linger_s,
        max_staleness_s=config.engine.max_staleness_s,
        engine_threads=config.engine.threads,
        classifiers=classifiers,
        streams_per_host=config.hosts.streams_per_host,
        host_memory_limit_bytes=_host_memory_bytes(config.hosts),
        host_user=config.hosts.user,
        log=config.log,
        max_streams=config.hosts.max_streams,
        max_registered=config.hosts.max_registered,
        max_load=config.hosts.max_load,
        open_timeout_s=config.capture.open_timeout_s,
        read_timeout_s=config.capture.read_timeout_s,
        sources=config.sources,
        trace_ratio=config.traces.sample_ratio if config.traces.endpoint else 0.0,
        snapshot_px=config.snapshots.max_width_px if config.snapshots.enabled else 0,
        allow_loopback=listens_on_loopback(config),
    )


def _host_memory_bytes(hosts: HostsConfig) -> int:
    """Ample for cameras: 16 reference pictures of a 4K stream are 200 MB."""
    return hosts.memory_limit_bytes or (1024 + 256 * hosts.streams_per_host) * MIB

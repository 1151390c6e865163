"""The service's metrics: its own counters, and at each scrape the sums over its children."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vigil.data import CompiledState, CropOutcome, StreamState
from vigil.metrics.accuracy import AccuracyMetrics
from vigil.metrics.page import BATCH_BUCKETS, BUCKETS_S, OUTCOMES, Account, Distribution

SERVICE_STAGES = ("outbox", "publish")


@dataclass(frozen=True, slots=True)
class StreamReading:
    """One stream at the moment of a scrape."""

    stream_id: str
    state: StreamState
    reconnects: dict[str, int]  # by reason
    account: Account
    episodes: dict[str, int] = field(default_factory=dict)  # open ones, by type of event


@dataclass(frozen=True, slots=True)
class VerdictReading:
    """How right operators found a rule's newest events, with the 95 % interval."""

    stream_id: str
    rule_type: str
    precision: float
    low: float
    high: float
    of: int  # verdicts


class Drift(Protocol):
    """A camera's newest test of one kind against its own reference."""

    @property
    def stream_id(self) -> str:
        """Which camera."""

    @property
    def of(self) -> str:
        """Score or fragmentation."""

    @property
    def p_value(self) -> float:
        """Of the test."""

    @property
    def changed(self) -> bool:
        """Whether that is below the level."""

    @property
    def reference(self) -> float:
        """The mean before."""

    @property
    def current(self) -> float:
        """The mean now."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is read at the moment of a scrape."""

    streams: Sequence[StreamReading]
    stages: dict[str, Distribution]
    batches: Distribution | None
    queue_frames: int
    oldest_frame_s: float  # UTC; 0: none waits
    outbox_events: int
    outbox_oldest_s: float | None  # UTC
    outbox_degraded: bool  # events cannot be kept at present
    redis: dict[str, bool]  # each state that the connection may be in, true for the one it is in
    redis_risks: dict[str, bool]  # each kind of setting that may lose events, true where it is so
    device: dict[str, str]  # of the engine; empty while there is none
    classes: tuple[str, ...]
    compiled: Mapping[str, CompiledState] = field(default_factory=dict)  # forms of its device
    certificate_expires_s: float | None = None  # UTC; None: no TLS
    verdicts: Sequence[VerdictReading] = ()
    drift: Sequence[Drift] = ()
    labels: tuple[tuple[str, str], ...] = ()  # classifier and class, in the order of accounts
    crops: dict[CropOutcome, int] = field(default_factory=dict)
    snapshots: tuple[int, int] | None = (
        None  # pictures of events and their bytes; None: none are kept
    )


class Source(Protocol):
    """Who is asked at a scrape."""

    def read(self) -> Reading:
        """The counters at this moment."""


class ServiceMetrics:
    """The one metrics object. Observers of events and calls write to it; `registry` is exposed."""

    def __init__(self) -> None:
        disable_created_metrics()  # a series more for each counter, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(
            registry=self.registry
        )  # of the service itself: start, memory, descriptors
        self._latency = Histogram(
            "vigil_latency_seconds",
            "From capture of a frame to Redis's acknowledgement of its event.",
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._own_stages = {stage: _OwnHistogram(len(BUCKETS_S)) for stage in SERVICE_STAGES}
        self._events = Counter(
            "vigil_events",
            "Events that Redis acknowledged.",
            ("type", "phase"),
            registry=self.registry,
        )
        self._events_of: dict[tuple[str, str], Counter] = {}  # found sooner than by `labels`
        self._dropped = Counter(
            "vigil_events_dropped",
            "Events that were lost, and why.",
            ("reason",),
            registry=self.registry,
        )
        self._restarts = Counter(
            "vigil_process_restarts",
            "Children of the service that died and were started again.",
            ("process", "reason"),
            registry=self.registry,
        )
        self._spans = Counter(
            "vigil_spans",
            "Spans of traces, and what became of them.",
            ("outcome",),
            registry=self.registry,
        )
        self._snapshots_stored = Counter(
            "vigil_snapshots_stored", "Pictures of events that were stored.", registry=self.registry
        )
        self._snapshots_dropped = Counter(
            "vigil_snapshots_dropped",
            "Pictures of events that were lost, and why; their events were not.",
            ("reason",),
            registry=self.registry,
        )
        self._snapshots_deleted = Counter(
            "vigil_snapshots_deleted",
            "Stored pictures of events that made room, and why.",
            ("reason",),
            registry=self.registry,
        )
        self._handled = Counter(
            "grpc_server_handled",
            "RPCs completed, by code.",
            ("grpc_service", "grpc_method", "grpc_code"),
            registry=self.registry,
        )
        self._handling = Histogram(
            "grpc_server_handling_seconds",
            "How long RPCs took.",
            ("grpc_service", "grpc_method"),
            registry=self.registry,
        )
        self.accuracy = AccuracyMetrics(self.registry)
        for reason in ("storage", "backlog", "age", "max_bytes", "redis_max_bytes"):
            self._dropped.labels(
                reason
            )  # a first loss is an increase only from a zero that was seen
        for reason in ("busy", "encoding", "host_ended", "backlog", "storage"):
            self._snapshots_dropped.labels(reason)
        for reason in ("age", "max_bytes"):
            self._snapshots_deleted.labels(reason)
        for reason in ("died", "hung"):
            for process in ("engine", "host"):
                self._restarts.labels(process, reason)

    def expose(self, source: Source) -> None:
        """Show a fleet's counters from now on."""
        self.registry.register(_FleetCollector(source, self._own_stages))

    # what the event pipeline tells (`vigil.events.settings.EventHooks`)

    def on_committed(self, *, events: int, wait_s: float) -> None:
        """Events are on disk."""
        self._own_stages["outbox"].observe(wait_s, times=events)

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        """Redis has an event."""
        counter = self._events_of.get((event_type, phase))
        if counter is None:
            counter = self._events_of[event_type, phase] = self._events.labels(event_type, phase)
        counter.inc()
        if latency_s is not None:
            self._latency.observe(latency_s)

    def on_batch(self, *, events: int, duration_s: float) -> None:
        """Redis has a batch."""
        self._own_stages["publish"].observe(duration_s, times=events)

    def on_dropped(self, reason: str, events: int) -> None:
        """Events are lost."""
        self._dropped.labels(reason).inc(events)

    def latencies(self) -> dict[float, float]:
        """How many events took up to so many seconds, by bucket."""
        return {
            float(sample.labels["le"]): sample.value
            for family in self._latency.collect()
            for sample in family.samples
            if "le" in sample.labels
        }

    # what the fleet and the API tell

    def on_restart(self, process: str, reason: str) -> None:
        """A child was started again."""
        self._restarts.labels(process, reason).inc()

    def on_snapshot_stored(self) -> None:
        """A picture of an event is on disk."""
        self._snapshots_stored.inc()

    def on_snapshot_dropped(self, reason: str) -> None:
        """A picture of an event is lost."""
        self._snapshots_dropped.labels(reason).inc()

    def on_snapshots_deleted(self, reason: str, pictures: int) -> None:
        """Stored pictures are gone. Any thread may call it."""
        self._snapshots_deleted.labels(reason).inc(pictures)

    def on_spans(self, outcome: str, spans: int) -> None:
        """The collector has spans, or they are lost. Any thread may call it."""
        self._spans.labels(outcome).inc(spans)

    def call_handled(self, *, service: str, method: str, code: str, duration_s: float) -> None:
        """An RPC ended."""
        self._handled.labels(service, method, code).inc()
        self._handling.labels(service, method).observe(duration_s)


class _OwnHistogram:
    """A histogram of the service's own that can count one duration for many events at once."""

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0

    def observe(self, seconds: float, *, times: int) -> None:
        bucket = next((i for i, bound in enumerate(BUCKETS_S) if seconds <= bound), len(BUCKETS_S))
        self.counts[bucket] += times
        self.total += seconds * times


class _FleetCollector(Collector):
    """Reads the children's pages when Prometheus asks."""

    def __init__(self, source: Source, own_stages: dict[str, _OwnHistogram]) -> None:
        self._source = source
        self._own_stages = own_stages

    def describe(self) -> Iterable[Metric]:
        """Nothing to check before there are children."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family, read at one go."""
        reading = self._source.read()
        yield from _frames(reading)
        yield from _second_stages(reading)
        yield from _streams(reading)
        yield _stages(reading, self._own_stages)
        yield _batches(reading)
        yield from _queues(reading)
        yield from _verdicts(reading)
        yield from _drift(reading)


def _frames(reading: Reading) -> Iterator[Metric]:
    read = CounterMetricFamily(
        "vigil_frames_read", "Frames grabbed or pushed.", labels=["stream_id"]
    )
    frames = CounterMetricFamily(
        "vigil_frames", "What became of frames.", labels=["stream_id", "outcome"]
    )
    in_flight = GaugeMetricFamily(
        "vigil_frames_in_flight",
        "Frames read that have no outcome yet.",
        labels=["stream_id"],
    )
    found = CounterMetricFamily(
        "vigil_detections", "Objects found in analysed frames.", labels=["stream_id", "class"]
    )
    for stream in reading.streams:
        account = stream.account
        read.add_metric([stream.stream_id], account.read)
        in_flight.add_metric([stream.stream_id], account.in_flight)
        for outcome in OUTCOMES:
            frames.add_metric([stream.stream_id, outcome], account.outcomes[outcome])
        for name, count in zip(reading.classes, account.detections, strict=False):
            found.add_metric([stream.stream_id, name], float(count))
    yield from (read, frames, in_flight, found)


def _second_stages(reading: Reading) -> Iterator[Metric]:
    crops = CounterMetricFamily(
        "vigil_crops", "What became of crops of tracks, of all streams.", labels=["outcome"]
    )
    for outcome, count in reading.crops.items():
        crops.add_metric([outcome], count)
    tracks = CounterMetricFamily(
        "vigil_tracks_classified",
        "Tracks that ended, by what a second stage said that they were.",
        labels=["stream_id", "classifier", "class"],
    )
    for stream in reading.streams:
        for (classifier, name), count in zip(reading.labels, stream.account.labels, strict=False):
            tracks.add_metric([stream.stream_id, classifier, name], float(count))
    yield from (crops, tracks)


def _streams(reading: Reading) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "vigil_stream_state", "1 for the state a stream is in.", labels=["stream_id", "state"]
    )
    last = GaugeMetricFamily(
        "vigil_stream_last_frame_timestamp_seconds",
        "When the newest frame was captured.",
        labels=["stream_id"],
    )
    reconnects = CounterMetricFamily(
        "vigil_stream_reconnects",
        "Connections that ended or failed, and why.",
        labels=["stream_id", "reason"],
    )
    episodes = GaugeMetricFamily(
        "vigil_stream_episodes",
        "Faults of the camera and things left or taken that last at present.",
        labels=["stream_id", "type"],
    )
    for stream in reading.streams:
        for kind, count in stream.episodes.items():
            episodes.add_metric([stream.stream_id, kind], count)
        for state in StreamState:
            states.add_metric([stream.stream_id, state.value], float(state is stream.state))
        if stream.account.last_frame_s:
            last.add_metric([stream.stream_id], stream.account.last_frame_s)
        for reason, count in stream.reconnects.items():
            reconnects.add_metric([stream.stream_id, reason], count)
    yield from (states, last, reconnects, episodes)


def _stages(reading: Reading, own: dict[str, _OwnHistogram]) -> Metric:
    family = HistogramMetricFamily(
        "vigil_stage_seconds",
        "Time that a frame (outbox and publish: an event) spends in a stage.",
        labels=["stage"],
    )
    for stage, distribution in reading.stages.items():
        counts = [int(count) for count in distribution.counts]
        family.add_metric([stage], _buckets(BUCKETS_S, counts), distribution.total)
    for stage, histogram in own.items():
        family.add_metric([stage], _buckets(BUCKETS_S, histogram.counts), histogram.total)
    return family


def _batches(reading: Reading) -> Metric:
    family = HistogramMetricFamily("vigil_batch_size", "Frames in a batch.")
    if reading.batches is not None:
        counts = [int(count) for count in reading.batches.counts]
        family.add_metric([], _buckets(BATCH_BUCKETS, counts), reading.batches.total)
    return family


def _queues(reading: Reading) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "vigil_queue_frames", "Frames that wait for a batch.", value=reading.queue_frames
    )
    oldest = GaugeMetricFamily(
        "vigil_oldest_frame_timestamp_seconds",
        "When the oldest waiting frame was captured; now, where none waits.",
        value=reading.oldest_frame_s or time.time(),
    )
    yield oldest
    yield GaugeMetricFamily(
        "vigil_outbox_events", "Events that wait for Redis.", value=reading.outbox_events
    )
    yield GaugeMetricFamily(
        "vigil_outbox_oldest_timestamp_seconds",
        "When the oldest waiting event was stored; now, where none waits.",
        value=reading.outbox_oldest_s or time.time(),
    )
    yield GaugeMetricFamily(
        "vigil_outbox_degraded",
        "1 while events cannot be kept, and are lost.",
        value=float(reading.outbox_degraded),
    )
    yield _flags(
        "vigil_redis_state", "1 for the state of the connection to Redis.", "state", reading.redis
    )
    yield _flags(
        "vigil_redis_risk",
        "1 for each kind of setting of the Redis server that may lose events.",
        "kind",
        reading.redis_risks,
    )
    if reading.certificate_expires_s is not None:
        yield GaugeMetricFamily(
            "vigil_certificate_expires_timestamp_seconds",
            "When the certificate that the service shows runs out.",
            value=reading.certificate_expires_s,
        )
    if reading.snapshots is not None:
        count, used_bytes = reading.snapshots
        yield GaugeMetricFamily("vigil_snapshots", "Pictures of events on disk.", value=count)
        yield GaugeMetricFamily(
            "vigil_snapshots_bytes", "What pictures of events take on disk.", value=used_bytes
        )
    if reading.device:
        yield InfoMetricFamily(
            "vigil_engine_device", "What the engine runs on.", value=reading.device
        )
    if reading.compiled:
        compiled = GaugeMetricFamily(
            "vigil_engine_compiled",
            "1 for what became of each of the model's forms that are compiled ahead of time.",
            labels=("form", "state"),
        )
        for form, found in reading.compiled.items():
            for state in CompiledState:
                compiled.add_metric([form, state.value], float(state is found))
        yield compiled


def _verdicts(reading: Reading) -> Iterator[Metric]:
    labels = ("stream_id", "rule_type")
    newest = "of a rule's newest events that operators judged"
    precision = GaugeMetricFamily(
        "vigil_verdict_precision", f"The share {newest} that they found right.", labels=labels
    )
    low = GaugeMetricFamily(
        "vigil_verdict_precision_low", "The lower bound of its 95 % interval.", labels=labels
    )
    high = GaugeMetricFamily(
        "vigil_verdict_precision_high", "The upper bound of its 95 % interval.", labels=labels
    )
    count = GaugeMetricFamily("vigil_verdicts_judged", f"The number {newest}.", labels=labels)
    for each in reading.verdicts:
        of = [each.stream_id, each.rule_type]
        precision.add_metric(of, each.precision)
        low.add_metric(of, each.low)
        high.add_metric(of, each.high)
        count.add_metric(of, each.of)
    yield from (precision, low, high, count)


def _flags(name: str, help_text: str, label: str, values: dict[str, bool]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, holds in values.items():
        family.add_metric([value], float(holds))
    return family


def _drift(reading: Reading) -> Iterator[Metric]:
    labels = ("stream_id", "of")
    p_value = GaugeMetricFamily(
        "vigil_drift_p_value",
        "Of the newest test whether a camera's tracks are as in its own reference. Not accuracy.",
        labels=labels,
    )
    changed = GaugeMetricFamily("vigil_drift_changed", "1 where that is below 0.01.", labels=labels)
    mean = GaugeMetricFamily(
        "vigil_drift_mean",
        "Mean track score, and share of tracks lost within the picture.",
        labels=(*labels, "window"),
    )
    for each in reading.drift:
        of = [each.stream_id, each.of]
        p_value.add_metric(of, each.p_value)
        changed.add_metric(of, float(each.changed))
        mean.add_metric([*of, "reference"], each.reference)
        mean.add_metric([*of, "current"], each.current)
    yield from (p_value, changed, mean)


def _buckets(bounds: Iterable[float], counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound, as Prometheus writes them."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(float, bounds), float("inf")), counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), total))
    return buckets

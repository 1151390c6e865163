"""What `vigil demo` runs and measures."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vigil.api.client import StreamClient
from vigil.bench.embedded import EmbeddedVigil
from vigil.bench.scrape import Scrape
from vigil.data import Event
from vigil.events.reader import BEGINNING, follow, page
from vigil.scene.film import FilmTruth
from vigil.spec import (
    LineRule,
    MarkerRule,
    Pace,
    Point,
    Rule,
    SecondStage,
    StreamSpec,
    TrackRule,
    ZoneRule,
)
from vigil.spec import Source as SpecSource
from vigil.v1 import streams_pb2

STREAM_ID = "demo"
CLASSIFIER = "vigil-vehicle-type"
SECOND_STAGE = SecondStage(classifier=CLASSIFIER, classes=("car", "motorcycle", "bus", "truck"))
RULES: tuple[Rule, ...] = (
    ZoneRule(
        rule_id="lower-half",
        polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1)),
    ),
    LineRule(rule_id="middle", points=(Point(0, 0.5), Point(1, 0.5))),
    TrackRule(rule_id="objects", update_s=0.1),
    MarkerRule(rule_id="frames"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """What the demo plays, and what is known of it."""

    uri: str
    file_roots: tuple[Path, ...] = ()
    truth: FilmTruth | None = None


@dataclass(slots=True)
class DemoRun:
    """What a demo saw."""

    source: Source
    events: list[Event] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)  # of marker events: one a frame
    scrape: Scrape | None = None
    last_status: streams_pb2.StreamStatus | None = None
    exit_status: int = 0

    @property
    def first_frame_s(self) -> float | None:
        """UTC of the run's first analysed frame, which is the source's first."""
        return min((e.occurred_at_s for e in self.events if e.type == "marker"), default=None)


async def play(
    vigil: EmbeddedVigil,
    *,
    redis_url: str,
    source: Source,
    detect_fps: float,
    duration_s: float | None,
    show: Callable[[Event], None],
    tell: Callable[[streams_pb2.StreamStatus], None],
) -> DemoRun:
    """Submit the stream, follow its events in Redis until it ends, then stop the service and read on.

    ``show`` is called with each event as it arrives from Redis, ``tell`` with each state of the stream.
    """
    run = DemoRun(source)
    last_id = BEGINNING

    def take(event: Event, published_at_s: float | None) -> None:
        run.events.append(event)
        if event.type == "marker" and published_at_s is not None:
            run.latency_s.append(published_at_s - event.occurred_at_s)
        show(event)

    async def read_events() -> None:
        nonlocal last_id
        async for entry in follow(redis_url, after=BEGINNING, block_s=1.0):
            event, _, published_at_s = entry.read()
            take(event, published_at_s)
            last_id = entry.entry_id

    async with StreamClient(vigil.addresses.grpc) as client:
        reading = asyncio.create_task(read_events())
        await client.add(_spec(source, detect_fps))
        await _until_ended(client, run, reading, tell, duration_s=duration_s)
        run.scrape = await asyncio.to_thread(Scrape.of, vigil.addresses.http)
        await client.remove(STREAM_ID)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    run.exit_status = await asyncio.to_thread(vigil.stop)  # flushes the outbox to Redis
    while rest := await page(redis_url, after=last_id):
        for entry in rest:
            event, _, published_at_s = entry.read()
            take(event, published_at_s)
        last_id = rest[-1].entry_id
    return run


def failures(run: DemoRun) -> list[str]:
    """Why the demo did not do its job, one line each; empty if it did."""
    assert run.scrape is not None
    failed = []
    analysed = run.scrape.total("vigil_frames_total", outcome="analysed")
    if not analysed:
        detail = run.last_status.detail if run.last_status else ""
        failed.append(f"no frame was analysed{': ' + detail if detail else ''}")
    for outcome in ("dropped_error", "corrupt"):
        count = run.scrape.total("vigil_frames_total", outcome=outcome)
        if count:
            failed.append(f"{count:.0f} frames ended as {outcome}")
    restarts = run.scrape.total("vigil_process_restarts_total")
    if restarts:
        failed.append(f"{restarts:.0f} processes had to be restarted")
    lost = run.scrape.total("vigil_events_dropped_total")
    if lost:
        failed.append(f"{lost:.0f} events were lost")
    if analysed and not any(event.type == "marker" for event in run.events):
        failed.append("frames were analysed, but no event of them came through Redis")
    if run.exit_status:
        failed.append(f"the service ended with status {run.exit_status}")
    return failed


async def _until_ended(
    client: StreamClient,
    run: DemoRun,
    reading: "asyncio.Task[None]",
    tell: Callable[[streams_pb2.StreamStatus], None],
    *,
    duration_s: float | None,
) -> None:
    """Wait for the source's end, the duration or Ctrl-C, whichever comes first."""
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)

    async def watch() -> None:
        online, told = False, None
        async for stream in client.watch(STREAM_ID):
            status = run.last_status = stream.status
            if (status.state, status.reason) != told:
                tell(status)
                told = (status.state, status.reason)
            online |= status.state == streams_pb2.StreamStatus.ONLINE
            if status.reason == streams_pb2.StreamStatus.ENDED:
                return
            if status.reason and not online and run.source.file_roots:
                return  # a file that does not open will not mend while one watches

    watching = asyncio.create_task(watch())
    waiting = asyncio.create_task(interrupted.wait())
    try:
        done, _ = await asyncio.wait(
            (watching, reading, waiting),
            timeout=duration_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            task.result()
    finally:
        watching.cancel()
        waiting.cancel()
        await asyncio.gather(watching, waiting, return_exceptions=True)


def _spec(source: Source, detect_fps: float) -> StreamSpec:
    return StreamSpec(
        stream_id=STREAM_ID,
        source=SpecSource(uri=source.uri, pace=Pace.REAL_TIME),
        detect_fps=detect_fps,
        rules=RULES,
        second_stages=(SECOND_STAGE,),
        labels={"site": "demo"},
    )

"""Events a second through outbox, publisher and Redis, and their latency, beside raw pipelined XADD.

`run` starts a Redis server of its own and keeps its state in a temporary directory, so it measures this
machine's disk as well.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil.data import Event, Occurrence, Phase
from vigil.events.embedded import EmbeddedRedis
from vigil.events.pipeline import EventPipeline
from vigil.events.raw import add_pipelined
from vigil.events.settings import EventSettings, NoHooks
from vigil.store.database import Database

SPACING_S = 0.00005  # between two events' times: 20,000 a second


class Latencies(NoHooks):
    """Collects how long each event took from its capture to Redis's acknowledgement, in seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        """Keep one."""
        if latency_s is not None:
            self.seconds.append(latency_s)


def make_events(count: int, *, streams: int, first: int = 0) -> list[Event]:
    """Realistic events (0.5 kB of JSON), spread over streams, captured now, seen one after another."""
    now_s, utc_s = time.monotonic(), time.time()
    events = []
    for number in range(first, first + count):
        occurrence = Occurrence(
            stream_id=f"camera-{number % streams}",
            run=1,
            rule="entrance",
            track=number,
            edge="enter",
            occurrence=1,
        )
        events.append(
            Event(
                event_id=occurrence.event_id(Phase.NEW),
                episode_id=occurrence.episode_id(),
                type="zone.enter",
                phase=Phase.NEW,
                stream_id=occurrence.stream_id,
                run=1,
                rule_id="entrance",
                track_id=number,
                class_name="person",
                score=0.8125,
                bbox=(0.25, 0.5, 0.375, 0.875),
                occurred_at_s=utc_s + (number - first - count) * SPACING_S,
                captured_s=now_s,
                labels={"site": "north"},
                attributes={"duration_s": 1.5, "foot": {"x": 0.3125, "y": 0.875}},
            )
        )
    return events


def run(
    *,
    events: int = 100_000,
    streams: int = 16,
    append_events: int = 100,
    appenders: int = 8,
    paced_hz: Sequence[float] = (100.0, 1000.0, 5000.0),
    paced_s: float = 5.0,
    directory: Path | None = None,
) -> dict[str, Any]:
    """Measure; takes about 30 s. The result is plain JSON: rates in events a second, times in seconds.

    ``events`` are appended ``append_events`` at a time by ``appenders`` callers at once; the paced part
    appends single events at each rate and measures latency. ``directory`` is where state is kept.
    """
    return asyncio.run(
        _run(
            make_events(events, streams=streams),
            append_events=append_events,
            appenders=appenders,
            paced_hz=paced_hz,
            paced_s=paced_s,
            directory=directory,
        )
    )


async def _run(
    events: list[Event],
    *,
    append_events: int,
    appenders: int,
    paced_hz: Sequence[float],
    paced_s: float,
    directory: Path | None,
) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        place = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-bench-", dir=directory))
        )
        redis = stack.enter_context(EmbeddedRedis(place / "redis"))
        database = stack.enter_context(Database(place / "state"))
        raw = await add_pipelined(redis.url, key="raw", events=events, batch_events=500)
        hooks = Latencies()
        async with EventPipeline(
            database, redis_url=redis.url, settings=EventSettings(), hooks=hooks
        ) as pipeline:
            durable = await _throughput(
                pipeline, events, append_events=append_events, appenders=appenders
            )
            paced = []
            for number, hz in enumerate(paced_hz, start=1):
                hooks.seconds.clear()
                await _pace(pipeline, hz=hz, seconds=paced_s, first=number * 10_000_000)
                paced.append({"events_hz": hz, **_percentiles(hooks.seconds)})
    return {
        "events": len(events),
        "append_events": append_events,
        "appenders": appenders,
        "raw_pipelined_xadd": raw,
        "durable": durable,
        "paced": paced,
    }


async def _throughput(
    pipeline: EventPipeline, events: list[Event], *, append_events: int, appenders: int
) -> dict[str, float]:
    """Append all as fast as the outbox takes them; until Redis has acknowledged the last."""
    chunks = [
        events[start : start + append_events] for start in range(0, len(events), append_events)
    ]
    commits_s: list[float] = []

    async def append() -> None:
        while chunks:
            chunk = chunks.pop(0)
            called_s = time.perf_counter()
            await pipeline.outbox.append(chunk)
            commits_s.append(time.perf_counter() - called_s)

    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(append() for _ in range(appenders)))
    committed_s = time.perf_counter() - started_s
    await _published(pipeline)
    published_s = time.perf_counter() - started_s
    return {
        "committed_hz": len(events) / committed_s,
        "published_hz": len(events) / published_s,
        "cpu_s_per_event": (time.process_time() - started_cpu_s) / len(events),
        "commit_p50_s": float(np.percentile(commits_s, 50)),
        "commit_p99_s": float(np.percentile(commits_s, 99)),
    }


async def _pace(pipeline: EventPipeline, *, hz: float, seconds: float, first: int) -> None:
    """Append single events at an even rate, each from a task of its own, as frames would bring them."""
    start_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        sent = 0
        while sent < hz * seconds:
            due = min(int((time.monotonic() - start_s) * hz) + 1, int(hz * seconds))
            for event in make_events(due - sent, streams=16, first=first + sent):
                group.create_task(pipeline.outbox.append([event]))
            sent = due
            await asyncio.sleep(1.0 / hz)
    await _published(pipeline)


async def _published(pipeline: EventPipeline) -> None:
    if not await pipeline.publisher.flush(60.0):
        raise RuntimeError(f"Redis did not take the events: {pipeline.publisher.state}")


def _percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    return {
        "latency_p50_s": p50,
        "latency_p95_s": p95,
        "latency_p99_s": p99,
        "measured": len(seconds),
    }

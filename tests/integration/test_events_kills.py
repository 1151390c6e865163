"""kill -9 of a process that writes events, and a disk that is full: what was told to be kept is there.

The writer is a process of its own that says on its standard output what it was told is on disk.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from vigil.bench.events import make_events
from vigil.events.embedded import EmbeddedRedis
from vigil.events.outbox import Outbox
from vigil.events.pipeline import EventPipeline
from vigil.events.reader import Entry, page
from vigil.events.schema import decode
from vigil.events.settings import EventSettings
from vigil.store.database import Database

STREAMS = 5
WRITER = """
import asyncio, resource, sys
from pathlib import Path
import structlog
from vigil.bench.events import make_events
from vigil.events.pipeline import EventPipeline
from vigil.store.database import Database

structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))  # stdout tells
state, url, first, early, limit_bytes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])

def tell(numbers):
    print(*numbers, flush=True)

async def append(outbox, start):
    events = make_events(40, streams=5, first=start)
    if early:
        tell(range(start, start + 40))
    seqs = await outbox.append(events)
    if not early:
        tell(n for n, seq in zip(range(start, start + 40), seqs) if seq is not None)

async def main():
    with Database(Path(state)) as database:
        async with EventPipeline(database, redis_url=url) as pipeline:
            if limit_bytes:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            start = first
            while True:
                await asyncio.gather(*(append(pipeline.outbox, start + 40 * n) for n in range(5)))
                start += 200
                if limit_bytes and pipeline.outbox.state.dropped > 1000:
                    print("dropped", pipeline.outbox.state.dropped, flush=True)
                    print(pipeline.outbox.state.degraded, flush=True)
                    return

asyncio.run(main())
"""


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


def start_writer(
    state: Path, url: str, *, first: int, early: bool = False, limit_bytes: int = 0
) -> "subprocess.Popen[str]":
    numbers = map(str, (first, int(early), limit_bytes))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(state), url, *numbers],
        stdout=subprocess.PIPE,
        text=True,
    )


def write_and_kill(
    state: Path, url: str, *, first: int, lines: int, early: bool = False
) -> set[int]:
    """Run the writer, kill it after so many lines; the numbers of the events that it told."""
    told: set[int] = set()
    with start_writer(state, url, first=first, early=early) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            told.update(map(int, writer.stdout.readline().split()))
        os.kill(writer.pid, signal.SIGKILL)
        for line in writer.stdout:  # what it had told before it died
            told.update(map(int, line.split()))
    assert writer.returncode == -signal.SIGKILL
    return told


def kept(state: Path) -> tuple[set[int], dict[str, list[int]]]:
    """Track ids (the writer's numbers) of all events of the log, and each stream's event_seq."""
    with Database(state) as database:
        bodies = database.read_now(
            lambda connection: connection.execute(
                "SELECT body FROM event ORDER BY cursor"
            ).fetchall()
        )
    tracks: set[int] = set()
    seqs: dict[str, list[int]] = defaultdict(list)
    for (body,) in bodies:
        event, event_seq, _ = decode(body)
        assert event.track_id is not None
        tracks.add(event.track_id)
        seqs[event.stream_id].append(event_seq)
    return tracks, seqs


def kill_again_and_again(state: Path, url: str, *, rounds: int, early: bool) -> int:
    """Each round: all that was told is in the log, numbers are gapless. Returns how many were told."""
    chance, told = random.Random(7), set[int]()
    for number in range(rounds):
        told |= write_and_kill(
            state, url, first=number * 1_000_000, lines=chance.randrange(1, 60), early=early
        )
        tracks, seqs = kept(state)
        assert told <= tracks, f"{len(told - tracks)} events that were told are not kept"
        for numbers in seqs.values():
            assert numbers == list(range(1, len(numbers) + 1))
    return len(told)


async def everything(url: str, state: Path) -> list[Entry]:
    with Database(state) as database:
        async with EventPipeline(
            database, redis_url=url, settings=EventSettings(flush_grace_s=30.0)
        ):
            pass
    found: list[Entry] = []
    while entries := await page(url, after=found[-1].entry_id if found else "0-0"):
        found += entries
    return found


def test_events_that_were_told_survive_kills_and_reach_redis(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    rounds = 8
    told = kill_again_and_again(tmp_path, server.url, rounds=rounds, early=False)
    tracks, _ = kept(tmp_path)
    found = asyncio.run(everything(server.url, tmp_path))
    published: dict[str, list[int]] = defaultdict(list)
    bodies: dict[str, bytes] = {}
    for entry in found:
        event, event_seq, published_at_s = entry.read()
        assert published_at_s is not None
        if entry.event_id not in bodies:
            published[event.stream_id].append(event_seq)
        at = entry.data.index(b'"published_at":"')
        body = entry.data[:at] + entry.data[at + 42 :]
        assert bodies.setdefault(entry.event_id, body) == body
    assert len(bodies) == len(tracks) >= told > 0
    for numbers in published.values():
        assert numbers == list(range(1, len(numbers) + 1))
    copies = len(found) - len(bodies)
    assert copies <= rounds * EventSettings().batch_events
    print(f"events lost: 0 of {told}; copies: {copies} in {rounds} kills")


def test_telling_before_the_commit_would_be_seen(tmp_path: Path, server: EmbeddedRedis) -> None:
    with pytest.raises(AssertionError, match="not kept"):
        kill_again_and_again(tmp_path, server.url, rounds=20, early=True)


def test_a_full_disk_drops_counted_and_the_process_lives(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    """No file may grow beyond 2 MB: the write-ahead log cannot take more."""
    told: set[int] = set()
    with start_writer(tmp_path, server.url, first=0, limit_bytes=2_000_000) as writer:
        assert writer.stdout is not None
        lines = writer.stdout.read().splitlines()
    assert writer.returncode == 0
    *numbers, dropped, degraded = lines
    for line in numbers:
        told.update(map(int, line.split()))
    assert int(dropped.removeprefix("dropped ")) > 1000
    assert "cannot be written" in degraded or "free space" in degraded
    tracks, seqs = kept(tmp_path)
    assert told <= tracks
    assert len(told) > 100

    async def after() -> list[int | None]:
        with Database(tmp_path) as database:
            outbox = Outbox(database)
            outbox.load()
            return await outbox.append(make_events(STREAMS, streams=STREAMS, first=10_000_000))

    assert asyncio.run(after()) == [max(seqs[f"camera-{n}"]) + 1 for n in range(STREAMS)]

"""The log's limits: what Redis has goes first, what it lacks goes last and is counted."""

import asyncio
from collections import Counter
from pathlib import Path

import msgspec

from vigil.bench.events import make_events
from vigil.data import Phase
from vigil.events.outbox import Outbox
from vigil.events.retention import used_bytes
from vigil.events.settings import EventSettings
from vigil.store.database import Database


def opened(database: Database, **options: object) -> Outbox:
    outbox = Outbox(database, **options)
    outbox.load()
    return outbox


def phases(database: Database) -> Counter[str]:
    return database.read_now(
        lambda connection: Counter(
            dict(connection.execute("SELECT phase, count(*) FROM event GROUP BY phase"))
        )
    )


def test_events_go_when_they_are_old_and_not_before(tmp_path: Path, clock, hooks) -> None:
    settings = EventSettings(retention_s=100.0)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, clock=clock, hooks=hooks, settings=settings)
            await outbox.append(make_events(2500, streams=1))
            await outbox.mark_sent(await outbox.unsent(2500), published_at_s=clock.utc_s())
            clock.now_s += 60
            await outbox.append(make_events(10, streams=1, first=2500))
            assert await outbox.sweep() == 0
            clock.now_s += 60
            assert await outbox.sweep() == 2500
            assert outbox.pending().events == 10
            assert not hooks.dropped
            clock.now_s += 60
            assert await outbox.sweep() == 10  # Redis was away for longer than events are kept
            assert hooks.dropped == {"age": 10}
            assert outbox.pending() == (0, None)
            assert await outbox.append(make_events(1, streams=1, first=9999)) == [2511]

    asyncio.run(main())


def test_a_log_that_is_too_large_loses_first_what_redis_has(tmp_path: Path, hooks) -> None:
    settings = EventSettings(max_bytes=2_000_000, batch_events=10)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, hooks=hooks, settings=settings)
            await outbox.append(make_events(4000, streams=1))
            await outbox.mark_sent(await outbox.unsent(3000), published_at_s=1.0)
            assert await outbox.sweep() >= 1000
            assert database.read_now(used_bytes) <= 2_000_000
            assert outbox.pending().events == 1000
            assert not hooks.dropped

    asyncio.run(main())


def test_of_what_redis_lacks_updates_and_markers_go_first(tmp_path: Path, hooks) -> None:
    settings = EventSettings(max_bytes=2_000_000, batch_events=10)
    events = [
        msgspec.structs.replace(event, phase=Phase.UPDATE) if number % 8 else event
        for number, event in enumerate(make_events(4000, streams=1))
    ]

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, hooks=hooks, settings=settings)
            await outbox.append(events)
            lost = await outbox.sweep()
            assert hooks.dropped == {"max_bytes": lost}
            assert database.read_now(used_bytes) <= 2_000_000
            left = phases(database)
            assert left == {"new": 500, "update": 3500 - lost}
            assert outbox.pending().events == 4000 - lost
            first = await outbox.unsent(10)
            assert [event.cursor for event in first.events] == list(range(1, 11))
            while (batch := await outbox.unsent(500)).events:
                await outbox.mark_sent(batch, published_at_s=1.0)
            assert outbox.pending().events == 0

    asyncio.run(main())


def test_where_even_that_is_not_enough_the_oldest_goes(tmp_path: Path, hooks) -> None:
    settings = EventSettings(max_bytes=1_000_000, batch_events=10)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, hooks=hooks, settings=settings)
            await outbox.append(make_events(4000, streams=1))
            lost = await outbox.sweep()
            assert 1000 <= lost < 4000
            assert hooks.dropped == {"max_bytes": lost}
            cursors = [event.cursor for event in (await outbox.unsent(20)).events]
            assert cursors == [*range(1, 11), *range(11 + lost, 21 + lost)]

    asyncio.run(main())

"""Reading the log: pages, filters, watching without gap or repeat, and cursors that are too old."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from vigil.bench.events import make_events
from vigil.data import Event, Phase
from vigil.errors import CursorExpired, FieldViolation
from vigil.events import log as log_module
from vigil.events.log import EventFilter, EventLog
from vigil.events.outbox import Outbox
from vigil.events.settings import EventSettings
from vigil.store.database import Database


def opened(database: Database, **options: object) -> tuple[Outbox, EventLog]:
    outbox = Outbox(database, **options)
    outbox.load()
    return outbox, EventLog(database, outbox)


def varied(count: int) -> list[Event]:
    """Events that differ in everything that a filter looks at."""
    return [
        msgspec.structs.replace(
            event,
            type=("zone.enter", "zone.exit", "line.cross", "marker")[number % 4],
            phase=(Phase.NEW, Phase.UPDATE, Phase.END)[number % 3],
            rule_id=("door", "road", None)[number % 3],
            class_name=("person", "car", None)[number % 3],
            score=(number % 10) / 10 if number % 7 else None,
            labels={"site": "north" if number % 2 else "south"},
            attributes={"kind": {"class": "van" if number % 4 else "taxi", "probability": 0.5}},
            occurred_at_s=1000.0 + number,
        )
        for number, event in enumerate(make_events(count, streams=5))
    ]


FILTERS = {
    "all": EventFilter(),
    "stream": EventFilter(stream_ids=frozenset({"camera-1"})),
    "streams": EventFilter(stream_ids=frozenset({"camera-1", "camera-4", "none"})),
    "type": EventFilter(types=frozenset({"line.cross"})),
    "family": EventFilter(types=frozenset({"zone.*", "marker"})),
    "phase": EventFilter(phases=frozenset({Phase.UPDATE, Phase.END})),
    "rule": EventFilter(rule_ids=frozenset({"road"})),
    "class": EventFilter(classes=frozenset({"car", "person"})),
    "score": EventFilter(min_score=0.5),
    "label": EventFilter(labels={"site": "north"}),
    "attribute": EventFilter(attributes={"kind": "van"}),
    "time": EventFilter(start_s=1020.0, end_s=1050.0),
    "both": EventFilter(stream_ids=frozenset({"camera-2"}), types=frozenset({"zone.*"})),
    "none": EventFilter(stream_ids=frozenset({"nobody"})),
}


@pytest.mark.parametrize("name", FILTERS)
def test_pages_hold_exactly_what_passes_in_order(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SCAN", 17)  # so that pages span reads
    where, events = FILTERS[name], varied(200)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database)
            await outbox.append(events)
            found, cursor, more = [], "", True
            while more:
                page = await log.list(where, cursor=cursor, limit=7)
                assert len(page.events) <= 7
                found += page.events
                cursor, more = page.cursor, page.more
            wanted = [event for event in events if where.passes(event)]
            assert [logged.event.event_id for logged in found] == [e.event_id for e in wanted]
            assert bool(wanted) == (name != "none")
            assert found == (await log.list(where, limit=1000)).events

    asyncio.run(main())


def test_an_event_says_when_it_was_handed_to_redis(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database)
            await outbox.append(make_events(6, streams=1))
            await outbox.mark_sent(await outbox.unsent(2), published_at_s=50.0)
            await outbox.mark_sent(await outbox.unsent(2), published_at_s=60.0)
            times = [logged.published_at_s for logged in (await log.list()).events]
            assert times == [50.0, 50.0, 60.0, 60.0, None, None]

    asyncio.run(main())


@pytest.mark.parametrize("stop_after", [1, 3, 99])
def test_a_watch_resumes_without_gap_or_repeat(tmp_path: Path, stop_after: int) -> None:
    events = make_events(300, streams=4)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database)
            await outbox.append(events[:100])
            cursor, seen = (await log.list(limit=1)).cursor, [events[0].event_id]

            async def produce() -> None:
                for start in range(100, 300, 10):
                    await outbox.append(events[start : start + 10])

            producer = asyncio.create_task(produce())
            while len(seen) < 300:
                watch = log.watch(cursor=cursor)
                count = 0
                async for logged in watch:
                    seen.append(logged.event.event_id)
                    cursor, count = logged.cursor, count + 1
                    if count == stop_after or len(seen) == 300:
                        break
                await watch.aclose()
            await producer
            assert seen == [event.event_id for event in events]

    asyncio.run(main())


def test_a_watch_without_cursor_begins_now(tmp_path: Path) -> None:
    events = make_events(20, streams=1)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database)
            await outbox.append(events[:10])
            watch = log.watch(EventFilter(stream_ids=frozenset({"camera-0"})))
            first = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            await outbox.append(events[10:])
            assert (await first).event.event_id == events[10].event_id
            await watch.aclose()

    asyncio.run(main())


def test_a_cursor_that_is_too_old_says_which_is_the_oldest(
    tmp_path: Path, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database, clock=clock, settings=EventSettings(retention_s=10.0))
            await outbox.append(make_events(10, streams=1))
            old = (await log.list(limit=3)).cursor
            slow = log.watch(cursor=old)
            assert (await anext(slow)).event_seq == 4
            await outbox.mark_sent(await outbox.unsent(100), published_at_s=1.0)
            clock.now_s += 60
            await outbox.append(make_events(5, streams=1, first=10))
            await outbox.sweep()
            with pytest.raises(CursorExpired, match=f"{outbox.log_id}-10"):
                await log.list(cursor=old)
            with pytest.raises(CursorExpired):
                await anext(log.watch(cursor=old))
            oldest = await log.list(cursor=f"{outbox.log_id}-10")
            assert [logged.event_seq for logged in oldest.events] == [11, 12, 13, 14, 15]
            # The slow watcher has its page in hand; the next read finds the gap.
            with pytest.raises(CursorExpired):
                assert [logged async for logged in slow if logged.event_seq > 10] == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "cursor", ["x", "1", "-", "abc-", "-5", "abc--1", "abc-1e3", "a-" + "9" * 30]
)
def test_a_cursor_that_is_none_is_refused(tmp_path: Path, cursor: str) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            _, log = opened(database)
            with pytest.raises(FieldViolation, match="no cursor"):
                await log.list(cursor=cursor)

    asyncio.run(main())


def test_a_cursor_of_another_log_is_expired(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path / "a") as database:
            outbox, log = opened(database)
            await outbox.append(make_events(3, streams=1))
            cursor = log.newest_cursor()
        with Database(tmp_path / "b") as database:
            outbox, log = opened(database)
            await outbox.append(make_events(9, streams=1))
            with pytest.raises(CursorExpired):
                await log.list(cursor=cursor)
            with pytest.raises(CursorExpired):  # from before the state was restored from a backup
                await log.list(cursor=f"{outbox.log_id}-10")

    asyncio.run(main())


def test_a_time_range_skips_most_of_a_long_log(tmp_path: Path) -> None:
    looked_at: list[int] = []

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox, log = opened(database)
            for hour in range(30):
                events = [
                    msgspec.structs.replace(event, occurred_at_s=3600.0 * hour)
                    for event in make_events(10, streams=1, first=hour * 10)
                ]
                await outbox.append(events)
            at_s = 3600.0 * 15
            page = await log.list(EventFilter(start_s=at_s, end_s=at_s + 1), limit=100)
            assert [logged.event_seq for logged in page.events] == list(range(151, 161))
            first, last = await database.read(
                lambda connection: log._range(connection, cursor="", start_s=at_s, end_s=at_s + 1)
            )
            looked_at.append(last - first)

    asyncio.run(main())
    assert looked_at == [10]

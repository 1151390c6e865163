"""The outbox: durable before it is told, gapless numbers, no repeats, and drops that show."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from vigil.bench.events import make_events
from vigil.data import Event
from vigil.errors import Unavailable
from vigil.events import outbox as module
from vigil.events import table
from vigil.events.outbox import MANY_EVENTS, TAIL_EVENTS, Outbox
from vigil.events.schema import decode
from vigil.events.settings import EventSettings
from vigil.store.database import Database


def opened(database: Database, **options: object) -> Outbox:
    outbox = Outbox(database, **options)
    outbox.load()
    return outbox


def limit_pages(pages: int):
    return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()


def kept(database: Database) -> list[tuple[str, int, bytes]]:
    return database.read_now(
        lambda connection: connection.execute(
            "SELECT stream_id, event_seq, body FROM event ORDER BY cursor"
        ).fetchall()
    )


def test_numbers_are_gapless_in_each_stream_and_kept_across_restarts(tmp_path: Path) -> None:
    events = make_events(30, streams=3)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            seqs = await asyncio.gather(*(outbox.append([event]) for event in events[:15]))
            assert [seq for (seq,) in seqs] == [1 + n // 3 for n in range(15)]
        with Database(tmp_path) as database:
            assert await opened(database).append(events[15:]) == [6 + n // 3 for n in range(15)]
            rows = kept(database)
        assert [decode(body).event.event_id for *_, body in rows] == [e.event_id for e in events]
        assert all(decode(body).event_seq == seq for _, seq, body in rows)

    asyncio.run(main())


def test_an_event_that_is_known_keeps_its_number_and_is_not_repeated(tmp_path: Path) -> None:
    events = make_events(6, streams=1)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            assert await outbox.append(events[:3]) == [1, 2, 3]
            again = [events[1], events[3], events[3], events[0], events[4]]
            assert await outbox.append(again) == [2, 4, 4, 1, 5]
            assert await outbox.append(events[:2]) == [1, 2]
            assert await outbox.append([events[5]]) == [6]
            assert [seq for _, seq, _ in kept(database)] == [1, 2, 3, 4, 5, 6]
            assert outbox.pending().events == 6

    asyncio.run(main())


@pytest.mark.parametrize("event_id", ["short", "=" * 15, "A" * 32, "0" * 32, "é" * 16, "0 " * 16])
def test_any_text_is_an_event_id(tmp_path: Path, event_id: str) -> None:
    (template,) = make_events(1, streams=1)
    event = Event(**{name: getattr(template, name) for name in template.__struct_fields__})
    event = type(event)(
        **{**{n: getattr(event, n) for n in event.__struct_fields__}, "event_id": event_id}
    )

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            assert await outbox.append([event]) == await outbox.append([event]) == [1]
        with Database(tmp_path) as database:
            (read,) = (await opened(database).unsent(10)).events
            assert read.event_id == event_id

    asyncio.run(main())


def test_appends_during_a_commit_share_the_next(tmp_path: Path) -> None:
    gate, statements = threading.Event(), []

    def hold(connection: sqlite3.Connection) -> None:
        gate.wait(10)
        connection.set_trace_callback(statements.append)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            held = asyncio.create_task(database.write(hold))
            await asyncio.sleep(0)
            appends = [
                asyncio.create_task(outbox.append([event])) for event in make_events(50, streams=5)
            ]
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(held, *appends)

    asyncio.run(main())
    assert statements.count("COMMIT") <= 3


def test_what_comes_soon_after_a_commit_shares_the_next(
    tmp_path: Path, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spacing_s = 0.5  # so that the turns below are within it on any machine
    monkeypatch.setattr(module, "SPACING_S", spacing_s)
    statements: list[str] = []

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(
                database, clock=clock
            )  # which stands still: the last commit is just over
            await database.write(
                lambda connection: connection.set_trace_callback(statements.append)
            )
            events = make_events(MANY_EVENTS + 4, streams=1)
            await outbox.append(events[:1])
            statements.clear()
            appends = []
            for event in events[1:4]:
                appends.append(asyncio.create_task(outbox.append([event])))
                for _ in range(3):  # it is in the outbox, and its commit is waited with
                    await asyncio.sleep(0)
            await asyncio.gather(*appends)
            assert statements.count("COMMIT") == 1
            clock.now_s += spacing_s
            await outbox.append(events[4:])
            assert [seq for _, seq, _ in kept(database)] == list(range(1, len(events) + 1))

    asyncio.run(main())


def test_a_batch_is_marked_with_the_next_commit_but_at_once_where_many_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, each batch of a backlog waited for a commit of other events."""
    monkeypatch.setattr(module, "SPACING_S", 3600.0)
    events = make_events(MANY_EVENTS + 3, streams=1)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            await outbox.append(events)
            async with asyncio.timeout(30):
                await outbox.mark_sent(await outbox.unsent(3), published_at_s=1.0)
            batch = await outbox.unsent(1)
            marking = asyncio.create_task(outbox.mark_sent(batch, published_at_s=2.0))
            await asyncio.sleep(0)
            await database.read(table.position)
            assert not marking.done()
            await database.write(table.position)
            async with asyncio.timeout(30):
                await marking
            assert outbox.pending().events == MANY_EVENTS - 1

    asyncio.run(main())


def test_who_waits_for_room_is_not_overtaken(tmp_path: Path) -> None:
    events = make_events(60, streams=1)
    settings = EventSettings(queue_events=10, append_timeout_s=30.0)
    gate = threading.Event()

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, settings=settings)
            held = asyncio.create_task(database.write(lambda _: gate.wait(10)))
            await asyncio.sleep(0)
            appends = []
            for start, end in ((0, 8), (8, 16), (16, 17), (17, 25), (25, 26)):
                appends.append(asyncio.create_task(outbox.append(events[start:end])))
            await asyncio.sleep(0)
            gate.set()
            appends.append(asyncio.create_task(outbox.append(events[26:27])))
            await asyncio.gather(held, *appends)
            bodies = [decode(body).event.event_id for *_, body in kept(database)]
            assert bodies == [event.event_id for event in events[:27]]

    asyncio.run(main())


def test_a_caller_that_gives_up_does_not_take_its_events_back(tmp_path: Path) -> None:
    events = make_events(2, streams=1)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            call = asyncio.create_task(outbox.append(events[:1]))
            await asyncio.sleep(0)
            call.cancel()
            assert await outbox.append(events[1:]) == [2]
            await outbox.close()
            assert len(kept(database)) == 2
            with pytest.raises(Unavailable):
                await outbox.append(events)

    asyncio.run(main())


def test_a_full_disk_drops_counted_and_leaves_a_gap_that_shows(tmp_path: Path, hooks) -> None:
    events = make_events(2000, streams=2)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, hooks=hooks)
            assert await outbox.append(events[:10]) == [1 + n // 2 for n in range(10)]
            await database.write(limit_pages(15))
            assert await outbox.append(events[10:1010]) == [None] * 1000
            assert "free space" in (outbox.state.degraded or "")
            assert outbox.state.dropped == 1000
            assert hooks.dropped == {"storage": 1000}
            await database.write(limit_pages(100_000))
            # 500 events of each stream are missing: the numbers say so.
            assert await outbox.append(events[1010:1014]) == [506, 506, 507, 507]
            assert outbox.state.degraded is None
            assert outbox.pending().events == 14
            assert hooks.committed == 14

    asyncio.run(main())


def test_too_much_at_once_waits_and_is_then_dropped_counted(tmp_path: Path, hooks) -> None:
    gate = threading.Event()
    events = make_events(30, streams=1)
    settings = EventSettings(queue_events=10, append_timeout_s=0.05)

    def hold(connection: sqlite3.Connection) -> None:
        gate.wait(10)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, hooks=hooks, settings=settings)
            held = asyncio.create_task(database.write(hold))
            first = asyncio.create_task(outbox.append(events[:10]))
            await asyncio.sleep(0)
            assert await outbox.append(events[10:20]) == [None] * 10
            assert hooks.dropped == {"backlog": 10}
            gate.set()
            await asyncio.gather(held, first)
            assert await outbox.append(events[20:]) == list(range(21, 31))

    asyncio.run(main())


def test_an_append_larger_than_the_queue_goes_through_alone(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, settings=EventSettings(queue_events=5))
            assert len(await outbox.append(make_events(20, streams=1))) == 20

    asyncio.run(main())


@pytest.mark.parametrize("backlog", [10, TAIL_EVENTS + 500], ids=["memory", "disk"])
def test_batches_come_in_order_and_each_event_once(tmp_path: Path, backlog: int) -> None:
    events = make_events(backlog + 100, streams=3)

    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database)
            for start in range(0, backlog, 100):
                await outbox.append(events[start : min(start + 100, backlog)])
            seen: list[str] = []
            while (batch := await outbox.unsent(300)).events:
                seen += [event.event_id for event in batch.events]
                await outbox.mark_sent(batch, published_at_s=1.0)
                if len(seen) == 300 or backlog == 10:  # live events come while it drains
                    await outbox.append(events[backlog:])
            assert seen == [event.event_id for event in events]
            assert outbox.pending() == (0, None)

    asyncio.run(main())


def test_pending_is_right_after_a_restart(tmp_path: Path, clock) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            outbox = opened(database, clock=clock)
            assert outbox.pending() == (0, None)
            await outbox.append(make_events(5, streams=1))
            clock.now_s += 10
            await outbox.append(make_events(5, streams=1, first=5))
            assert outbox.pending() == (10, clock.utc_s() - 10)
            await outbox.mark_sent(await outbox.unsent(5), published_at_s=1.0)
        with Database(tmp_path) as database:
            outbox = opened(database, clock=clock)
            assert outbox.pending() == (5, clock.utc_s())

    asyncio.run(main())


def test_what_a_tool_changes_is_respected(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database, Database(tmp_path, exclusive=False) as tool:
            outbox = opened(database)
            await outbox.append(make_events(10, streams=1))
            first = await outbox.unsent(4)
            await outbox.mark_sent(first, published_at_s=1.0)
            second = await outbox.unsent(4)
            await tool.write(lambda connection: table.send_again(connection, after=2))
            await outbox.mark_sent(second, published_at_s=2.0)  # not noted: it is not what was sent
            assert outbox.pending().events == 8
            assert (await outbox.unsent(100)).events[0].cursor == 3
            await tool.write(lambda connection: table.give_up(connection, through=9))
            await outbox.reread()
            assert [event.cursor for event in (await outbox.unsent(100)).events] == [10]
            assert len(kept(database)) == 10

    asyncio.run(main())

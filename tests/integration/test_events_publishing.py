"""Outbox to a real Redis: order, fields, trouble of every kind, and what a kill may and may not do.

Where a test claims that a fault is survived, a planted failure shows that it would be seen.
"""

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
import redis
import redis.asyncio

from tests.support.redis_troubles import full, hung, locked, read_only
from vigil.bench.events import make_events
from vigil.data import Event
from vigil.events import reader
from vigil.events.embedded import EmbeddedRedis
from vigil.events.outbox import Outbox
from vigil.events.pipeline import EventPipeline
from vigil.events.publisher import Publisher, PublisherState
from vigil.events.redis_link import RedisLink
from vigil.events.redis_server import Risk
from vigil.events.settings import EventSettings, NoHooks
from vigil.store.database import Database
from vigil.store.errors import StorageFailed

QUICK = EventSettings(
    backoff_first_s=0.01, backoff_cap_s=0.05, idle_s=0.2, reply_timeout_s=1.0, flush_grace_s=20.0
)
DEADLINE_S = 30.0


class Told(NoHooks):
    """Hooks that count."""

    def __init__(self) -> None:
        self.latencies_s: list[float | None] = []
        self.batches: list[int] = []
        self.dropped: Counter[str] = Counter()

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        self.latencies_s.append(latency_s)

    def on_batch(self, *, events: int, duration_s: float) -> None:
        self.batches.append(events)

    def on_dropped(self, reason: str, events: int) -> None:
        self.dropped[reason] += events


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture
def admin(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(server.url)) as client:
        yield client


@contextlib.asynccontextmanager
async def pipeline(
    state: Path, url: str, *, settings: EventSettings = QUICK, hooks: Any = None
) -> AsyncIterator[EventPipeline]:
    with Database(state) as database:
        async with EventPipeline(
            database, redis_url=url, settings=settings, hooks=hooks
        ) as running:
            yield running


async def entries(url: str) -> list[reader.Entry]:
    found: list[reader.Entry] = []
    while page := await reader.page(url, after=found[-1].entry_id if found else "0-0"):
        found += page
    return found


async def drained(running: EventPipeline) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while running.outbox.pending().events:
            await running.publisher.wait_until(lambda state: state.connected)
            await running.publisher.flush(1.0)


def check_delivery(found: list[reader.Entry], events: list[Event], *, copies: int) -> int:
    """Nothing is lost, order holds in each stream, copies are true ones; returns how many there are."""
    bodies: dict[str, dict[str, Any]] = {}
    seqs: defaultdict[str, list[int]] = defaultdict(list)
    repeated = 0
    for entry in found:
        body = json.loads(entry.data)
        assert body.pop("published_at"), "an event without the time of its publishing"
        assert (entry.event_id, entry.type, entry.stream_id) == (
            body["event_id"],
            body["type"],
            body["stream_id"],
        )
        if entry.event_id in bodies:
            repeated += 1
            assert bodies[entry.event_id] == body, "copies differ"
        else:
            bodies[entry.event_id] = body
            seqs[entry.stream_id].append(body["event_seq"])
    missing = {event.event_id for event in events} - bodies.keys()
    assert not missing, f"{len(missing)} events are lost"
    assert len(bodies) == len(events)
    for numbers in seqs.values():
        assert numbers == list(range(1, len(numbers) + 1)), "order or numbers are wrong"
    assert repeated <= copies, f"{repeated} copies"
    return repeated


async def append_all(running: EventPipeline, events: list[Event], size: int = 50) -> None:
    for start in range(0, len(events), size):
        await running.outbox.append(events[start : start + size])


def test_events_arrive_in_order_with_the_contracts_fields(
    tmp_path: Path, server: EmbeddedRedis, admin: redis.Redis
) -> None:
    events, told = make_events(3000, streams=7), Told()

    async def main() -> None:
        async with pipeline(tmp_path, server.url, hooks=told) as running:
            await append_all(running, events)
        found = await entries(server.url)
        assert check_delivery(found, events, copies=0) == 0
        assert [entry.event_id for entry in found] == [event.event_id for event in events]

    asyncio.run(main())
    (_, fields), *_ = admin.xrange("vigil:events", count=1)
    assert list(fields) == [b"id", b"type", b"stream", b"data"]
    assert len(told.latencies_s) == 3000
    assert all(latency is not None and 0 <= latency < 60 for latency in told.latencies_s)
    assert max(told.batches) <= 500
    assert not told.dropped


def test_an_event_reaches_redis_without_waiting_for_others(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    async def main() -> None:
        async with pipeline(tmp_path, server.url) as running, asyncio.timeout(DEADLINE_S):
            await running.publisher.wait_until(lambda state: state.connected)
            follow = reader.follow(server.url, after=reader.BEGINNING)
            for event in make_events(5, streams=2):
                await running.outbox.append([event])
                assert (await anext(follow)).event_id == event.event_id
            await follow.aclose()

    asyncio.run(main())


def test_a_server_without_scripts_gets_transactions(
    tmp_path: Path, server: EmbeddedRedis, admin: redis.Redis
) -> None:
    admin.acl_setuser(
        "plain", enabled=True, nopass=True, categories=["+@all", "-@scripting"], keys=["*"]
    )
    url = server.url.replace("unix://", "unix://plain:any@")
    events = make_events(1200, streams=3)

    async def main() -> None:
        async with pipeline(tmp_path, url) as running:
            await append_all(running, events)
            await drained(running)
            assert running.publisher.state.server is not None
            assert not running.publisher.state.server.scripts
        check_delivery(await entries(server.url), events, copies=0)

    asyncio.run(main())


def test_what_may_lose_events_in_the_server_is_reported(tmp_path: Path) -> None:
    async def risks(url: str) -> tuple[Risk, ...]:
        async with pipeline(tmp_path / "state", url) as running, asyncio.timeout(DEADLINE_S):
            state = await running.publisher.wait_until(lambda state: state.connected)
            assert state.server is not None
            assert running.troubles() == [risk.text for risk in state.server.risks]
            return state.server.risks

    with EmbeddedRedis() as good:
        assert asyncio.run(risks(good.url)) == ()
    with EmbeddedRedis(options={"maxmemory-policy": "allkeys-lru", "appendonly": "no"}) as bad:
        eviction, persistence = asyncio.run(risks(bad.url))
    assert eviction.kind == "eviction"
    assert "noeviction" in eviction.text
    assert persistence.kind == "persistence"
    assert "appendonly yes" in persistence.text


def test_settings_that_change_while_connected_are_noticed(
    tmp_path: Path, server: EmbeddedRedis, admin: redis.Redis
) -> None:
    quick = msgspec.structs.replace(QUICK, trim_s=0.05, idle_s=0.05)

    async def main() -> None:
        async with pipeline(tmp_path, server.url, settings=quick) as running:
            publisher = running.publisher
            async with asyncio.timeout(DEADLINE_S):
                await publisher.wait_until(lambda state: state.connected)
                assert running.risks == ()
                admin.config_set("maxmemory-policy", "allkeys-lru")
                await publisher.wait_until(lambda state: bool(state.server and state.server.risks))
                assert [risk.kind for risk in running.risks] == ["eviction"]
                admin.config_set("maxmemory-policy", "noeviction")
                await publisher.wait_until(lambda state: not (state.server and state.server.risks))

    asyncio.run(main())


def test_killing_redis_under_load_loses_nothing(tmp_path: Path, server: EmbeddedRedis) -> None:
    events = make_events(20_000, streams=9)

    async def main() -> None:
        async with pipeline(tmp_path, server.url) as running:
            load = asyncio.create_task(append_all(running, events))
            for kill_at in (2000, 7000, 12_000):
                async with asyncio.timeout(DEADLINE_S):
                    await running.outbox.wait_newer(kill_at)
                server.kill()
                await running.publisher.wait_until(lambda state: not state.connected)
                await asyncio.to_thread(server.start)
            await load
            await drained(running)
        check_delivery(await entries(server.url), events, copies=3 * QUICK.batch_events)

    asyncio.run(main())


def test_losing_redis_file_would_be_seen(tmp_path: Path) -> None:
    """Planted: a server that keeps no append-only file forgets what it acknowledged."""
    events = make_events(3000, streams=3)

    async def main(server: EmbeddedRedis) -> None:
        async with pipeline(tmp_path, server.url) as running:
            await append_all(running, events[:1500])
            await drained(running)
            server.kill()
            await running.publisher.wait_until(lambda state: not state.connected)
            await asyncio.to_thread(server.start)
            await append_all(running, events[1500:])
            await drained(running)
        check_delivery(await entries(server.url), events, copies=500)

    with (
        EmbeddedRedis(options={"appendonly": "no"}) as server,
        pytest.raises(AssertionError, match="events are lost"),
    ):
        asyncio.run(main(server))


def away(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    server.stop()
    yield
    server.start()


def wrong_type(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    admin.rename("vigil:events", "kept")
    admin.set("vigil:events", "someone else's")
    yield
    admin.rename("kept", "vigil:events")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "transaction"])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (away, "unreachable"),
        (hung, "slow"),
        (locked, "auth"),
        (read_only, "read_only"),
        (full, "full"),
        (wrong_type, "refused"),
    ],
)
def test_trouble_with_redis_shows_and_passes(
    tmp_path: Path,
    server: EmbeddedRedis,
    admin: redis.Redis,
    trouble: Any,
    reason: str,
    scripts: bool,
) -> None:
    events = make_events(4000, streams=5)
    url = server.url
    if not scripts:
        admin.acl_setuser(
            "plain", enabled=True, nopass=True, categories=["+@all", "-@scripting"], keys=["*"]
        )
        url = server.url.replace("unix://", "unix://plain:any@")
        if reason in ("auth", "unreachable"):
            pytest.skip("the server forgets this test's user, or does not ask it")

    async def main() -> None:
        async with pipeline(tmp_path, url) as running, asyncio.timeout(DEADLINE_S):
            await append_all(running, events[:500])
            await drained(running)
            steps = trouble(server, admin)
            next(steps)
            await append_all(running, events[500:3000])
            state: PublisherState = await running.publisher.wait_until(
                lambda state: state.reason == reason
            )
            assert state.last_error
            assert running.outbox.pending().events == 2500
            assert running.outbox.state.degraded is None  # analysis goes on
            next(steps, None)
            await append_all(running, events[3000:])
            await drained(running)
            assert running.publisher.state.reason is None
        check_delivery(await entries(server.url), events, copies=2 * QUICK.batch_events)

    asyncio.run(main())


def test_no_password_is_shown(tmp_path: Path) -> None:
    secret = "canary%2Fpass"
    with EmbeddedRedis(port=0, options={"requirepass": "other"}) as server:
        urls = (
            server.tcp_url.replace("127", f"ann:{secret}@127"),
            f"redis://ann:{secret}@127.0.0.1:1/0",
            server.url.replace("unix://", f"unix://ann:{secret}@"),
        )
        for url in urls:

            async def main(url: str = url) -> PublisherState:
                async with pipeline(tmp_path, url) as running, asyncio.timeout(DEADLINE_S):
                    return await running.publisher.wait_until(lambda now: now.attempts > 1)

            state = asyncio.run(main())
            assert state.reason in ("auth", "unreachable")
            assert "canary" not in repr(state)


class DiesBeforeMarking(Publisher):
    """As if killed: Redis has the batch, the outbox does not know it."""

    async def _mark(self) -> None:
        if self._unmarked is not None:
            raise SystemExit


class MarksBeforeSending(Publisher):
    """Planted: noted as sent before Redis has it, then killed."""

    async def _send(self, link: RedisLink, batch: Any) -> NoReturn:
        await self._outbox.mark_sent(batch, published_at_s=0.0)
        raise SystemExit


def publish_with_a_kill(state: Path, url: str, events: list[Event], kind: type[Publisher]) -> int:
    async def killed() -> None:
        with Database(state) as database:
            outbox = Outbox(database)
            outbox.load()
            await append_all_to(outbox, events)
            await asyncio.create_task(kind(outbox, url=url, settings=QUICK).run())

    async def again() -> int:
        async with pipeline(state, url) as running:
            await drained(running)
        return check_delivery(await entries(url), events, copies=QUICK.batch_events)

    with pytest.raises(SystemExit):
        asyncio.run(killed())
    return asyncio.run(again())


async def append_all_to(outbox: Outbox, events: list[Event]) -> None:
    for start in range(0, len(events), 50):
        await outbox.append(events[start : start + 50])


def test_a_kill_between_sending_and_marking_repeats_one_batch(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    events = make_events(2000, streams=4)
    assert publish_with_a_kill(tmp_path, server.url, events, DiesBeforeMarking) == 500


def test_marking_before_sending_would_be_seen(tmp_path: Path, server: EmbeddedRedis) -> None:
    events = make_events(2000, streams=4)
    with pytest.raises(AssertionError, match="500 events are lost"):
        publish_with_a_kill(tmp_path, server.url, events, MarksBeforeSending)


def test_a_full_disk_while_marking_repeats_nothing(tmp_path: Path, server: EmbeddedRedis) -> None:
    """Redis has a batch, the mark cannot be written: it is not sent over and over."""
    events = make_events(1500, streams=3)

    async def main() -> None:
        async with pipeline(tmp_path, server.url) as running, asyncio.timeout(DEADLINE_S):
            await running.publisher.wait_until(lambda state: state.connected)
            mark, full = running.outbox.mark_sent, True

            async def failing(*args: Any, **kwargs: Any) -> None:
                if full:
                    raise StorageFailed("full", full=True)
                await mark(*args, **kwargs)

            running.outbox.mark_sent = failing  # type: ignore[method-assign]
            await append_all(running, events)
            await running.publisher.wait_until(lambda state: state.attempts > 3)
            assert running.publisher.state.reason == "storage"
            full = False
            await drained(running)
        assert check_delivery(await entries(server.url), events, copies=0) == 0

    asyncio.run(main())


def test_what_redis_did_not_take_is_there_at_the_next_start(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    events = make_events(700, streams=3)

    async def main() -> None:
        server.stop()
        async with asyncio.timeout(DEADLINE_S), pipeline(tmp_path, server.url) as running:
            await append_all(running, events)
        server.start()
        async with pipeline(tmp_path, server.url) as running:
            assert running.outbox.pending().events == 700
            await drained(running)
        check_delivery(await entries(server.url), events, copies=0)

    asyncio.run(main())


def test_stopping_waits_for_redis_to_take_what_is_left(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    events = make_events(5000, streams=3)

    async def main() -> None:
        async with pipeline(tmp_path, server.url) as running:
            await append_all(running, events, size=5000)
        check_delivery(await entries(server.url), events, copies=0)

    asyncio.run(main())


def test_a_bug_in_a_background_task_reaches_the_owner(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    async def main() -> None:
        async with pipeline(tmp_path, server.url) as running, asyncio.timeout(DEADLINE_S):
            running.outbox.unsent = None  # type: ignore[assignment, method-assign]
            with pytest.raises(TypeError):
                await running.watch_failure()

    async def unwatched() -> None:
        async with pipeline(tmp_path, server.url) as running:
            running.outbox.unsent = None  # type: ignore[assignment, method-assign]
            await asyncio.wait(running._tasks, return_when=asyncio.FIRST_COMPLETED)

    asyncio.run(main())
    with pytest.raises(TypeError):
        asyncio.run(unwatched())


def test_stopping_ends_at_once_wherever_it_finds_the_publisher(
    tmp_path: Path, server: EmbeddedRedis
) -> None:
    """The client library's socket_timeout lost a cancellation in 1 of 20 such stops."""

    async def main() -> None:
        for turns in range(60):
            async with asyncio.timeout(5.0), pipeline(tmp_path, server.url):
                for _ in range(turns):
                    await asyncio.sleep(0)

    asyncio.run(main())


def test_a_user_who_may_not_trim_publishes_all_the_same(
    tmp_path: Path, server: EmbeddedRedis, admin: redis.Redis
) -> None:
    admin.acl_setuser(
        "adder", enabled=True, nopass=True, categories=["+@all"], commands=["-xtrim"], keys=["*"]
    )
    events = make_events(600, streams=2)

    async def main() -> None:
        url = server.url.replace("unix://", "unix://adder:any@")
        settings = msgspec.structs.replace(QUICK, trim_s=0.0)
        async with pipeline(tmp_path, url, settings=settings) as running:
            await append_all(running, events)
            await drained(running)
            assert running.publisher.state.connected
            assert "not trimmed" in running.publisher.state.last_error
        check_delivery(await entries(server.url), events, copies=0)

    asyncio.run(main())


def test_the_stream_is_held_to_its_size_while_it_grows(
    tmp_path: Path, server: EmbeddedRedis, admin: redis.Redis
) -> None:
    events, told = make_events(6000, streams=2), Told()
    settings = msgspec.structs.replace(QUICK, trim_s=0.0, max_bytes=1_000_000)
    admin.xgroup_create("vigil:events", "never reads", id="0", mkstream=True)

    async def main() -> None:
        async with pipeline(tmp_path, server.url, settings=settings, hooks=told) as running:
            await append_all(running, events)
            await drained(running)

    asyncio.run(main())
    left = admin.xlen("vigil:events")
    assert 0 < left < 6000
    assert told.dropped["redis_max_bytes"] == 6000 - left

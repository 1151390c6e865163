"""The Redis stream's limits: age, bytes, and what consumer groups still have to read."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from vigil.events.embedded import EmbeddedRedis
from vigil.events.trim import Trimmed, trim

KEY = "vigil:events"
HUGE = 1 << 40


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def trimmed(server: EmbeddedRedis, request: pytest.FixtureRequest):
    def call(*, older_than_ms: int, max_bytes: int) -> Trimmed:
        async def main() -> Trimmed:
            client = redis.asyncio.Redis.from_url(server.url, protocol=request.param)
            try:
                return await trim(client, KEY, older_than_ms=older_than_ms, max_bytes=max_bytes)
            finally:
                await client.aclose()

        return asyncio.run(main())

    return call


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(server.url)) as running:
        yield running


def fill(client: redis.Redis, count: int) -> None:
    """Entries 1-0 to count-0, 600 bytes each."""
    with client.pipeline(transaction=False) as pipe:
        for number in range(1, count + 1):
            pipe.xadd(KEY, {"data": b"x" * 600}, id=f"{number}-0")
        pipe.execute()


def first(client: redis.Redis) -> int:
    ((entry_id, _),) = client.xrange(KEY, count=1)
    return int(entry_id.partition(b"-")[0])


def test_no_stream_is_nothing_to_do(trimmed) -> None:
    assert trimmed(older_than_ms=100, max_bytes=0) == (0, 0)


def test_old_entries_go(client: redis.Redis, trimmed) -> None:
    fill(client, 2000)
    removed, unread = trimmed(older_than_ms=1000, max_bytes=HUGE)
    assert 900 < first(client) <= 1000
    assert removed == first(client) - 1
    assert unread == 0


def test_nothing_goes_that_a_group_has_not_acknowledged(client: redis.Redis, trimmed) -> None:
    fill(client, 2000)
    client.xgroup_create(KEY, "ahead", id="1500-0")
    client.xgroup_create(KEY, "behind", id="400-0")
    trimmed(older_than_ms=1000, max_bytes=HUGE)
    assert 300 < first(client) <= 401
    client.xreadgroup("behind", "one", {KEY: ">"}, count=1600)
    trimmed(older_than_ms=1000, max_bytes=HUGE)
    assert first(client) <= 401  # delivered, not acknowledged
    client.xack(KEY, "behind", *(f"{number}-0" for number in range(401, 801)))
    trimmed(older_than_ms=1000, max_bytes=HUGE)
    assert 700 < first(client) <= 801
    client.xack(KEY, "behind", *(f"{number}-0" for number in range(801, 2001)))
    trimmed(older_than_ms=1000, max_bytes=HUGE)
    assert 900 < first(client) <= 1000


def test_too_many_bytes_take_first_what_is_acknowledged(client: redis.Redis, trimmed) -> None:
    fill(client, 2000)
    client.xgroup_create(KEY, "all", id="1200-0")
    removed, unread = trimmed(older_than_ms=0, max_bytes=client.memory_usage(KEY) // 2)
    assert (removed, unread) == (1200, 0)
    assert first(client) == 1201


def test_more_bytes_still_take_unread_ones_counted(client: redis.Redis, trimmed) -> None:
    fill(client, 2000)
    client.xgroup_create(KEY, "slow", id="100-0")
    limit_bytes = client.memory_usage(KEY) // 2
    removed, unread = trimmed(older_than_ms=0, max_bytes=limit_bytes)
    assert removed == unread + 100 == 2000 - client.xlen(KEY)
    assert unread > 800
    assert client.memory_usage(KEY) <= limit_bytes


def test_without_groups_bytes_alone_decide(client: redis.Redis, trimmed) -> None:
    fill(client, 2000)
    limit_bytes = client.memory_usage(KEY) // 2
    removed, unread = trimmed(older_than_ms=0, max_bytes=limit_bytes)
    assert removed == 2000 - client.xlen(KEY) > 0
    assert unread == 0
    assert client.memory_usage(KEY) <= limit_bytes

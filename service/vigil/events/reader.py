"""Reading the Redis stream as a consumer does: for `vigil events --redis`, the demo and tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, cast

import redis.asyncio
from redis.exceptions import RedisError

from vigil.errors import Unavailable
from vigil.events.redis_link import client_of, redacted
from vigil.events.schema import MalformedEvent, Published, decode
from vigil.events.settings import EventSettings

BEGINNING = "0-0"
NOW = "$"
_COUNT = 500  # entries of one XREAD


class Entry(NamedTuple):
    """One entry of the stream as it lies there."""

    entry_id: str  # Redis's
    event_id: str
    type: str
    stream_id: str
    data: bytes  # JSON

    def read(self) -> Published:
        """The event in it. Raises MalformedEvent."""
        return decode(self.data)


@contextlib.asynccontextmanager
async def _client(url: str) -> AsyncIterator["redis.asyncio.Redis"]:
    settings = EventSettings()
    async with contextlib.AsyncExitStack() as stack:
        try:
            client = client_of(url, connect_timeout_s=settings.connect_timeout_s)
            stack.push_async_callback(client.aclose)
            yield client
        except (RedisError, OSError, ValueError) as error:
            raise Unavailable(f"reading events from Redis: {redacted(repr(error), url)}") from error


async def follow(
    url: str, *, key: str = "vigil:events", after: str = NOW, block_s: float = 5.0
) -> AsyncIterator[Entry]:
    """Every entry after an id (BEGINNING, NOW or one that was seen), in order, for ever.

    Raises Unavailable where the server is away.
    """
    async with _client(url) as client:
        if after == NOW:  # fixed once: between two reads "$" would skip what came
            last = await cast(Any, client).xrevrange(key, count=1)
            after = last[0][0].decode() if last else BEGINNING
        while True:
            async with asyncio.timeout(block_s + EventSettings().reply_timeout_s):
                reply = await client.xread(
                    {key: after}, count=_COUNT, block=max(1, int(block_s * 1000))
                )
            for entry in _entries(reply):
                yield entry
                after = entry.entry_id


async def page(
    url: str, *, key: str = "vigil:events", after: str = BEGINNING, limit: int = _COUNT
) -> list[Entry]:
    """Up to ``limit`` entries after an id, now. Raises Unavailable."""
    async with _client(url) as client:
        async with asyncio.timeout(EventSettings().reply_timeout_s):
            return _entries(await client.xread({key: after}, count=limit))


async def everything(url: str, *, key: str = "vigil:events") -> AsyncIterator[Entry]:
    """Every entry that the stream holds now, in order. Raises Unavailable."""
    after = BEGINNING
    while entries := await page(url, key=key, after=after):
        for entry in entries:
            yield entry
        after = entries[-1].entry_id


def _entries(reply: Any) -> list[Entry]:
    """RESP2 gives a list of (key, entries), RESP3 a map of key to lists of entries."""
    if not reply:
        return []
    if isinstance(reply, dict):
        rows = [row for part in reply.values() for rows in part for row in rows]
    else:
        rows = [row for _, part in reply for row in part]
    try:
        return [_entry(entry_id.decode(), fields) for entry_id, fields in rows]
    except KeyError as error:
        raise MalformedEvent(f"an entry without field {error}: not a stream of vigil's") from None


def _entry(entry_id: str, fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        entry_id=entry_id,
        event_id=fields[b"id"].decode(),
        type=fields[b"type"].decode(),
        stream_id=fields[b"stream"].decode(),
        data=fields[b"data"],
    )

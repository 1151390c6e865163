"""Holding the Redis stream to its age and size, never past what a consumer group still has to read.

Only where the stream outgrows its limit in bytes do unread entries go, and they are counted.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import redis.asyncio
from redis.exceptions import ResponseError

_ROOM = (
    0.9  # of the limit: a trim that is forced makes some room, so that the next is not due at once
)


class Trimmed(NamedTuple):
    """How many entries a trim removed, and how many of them a group had not acknowledged."""

    entries: int
    unread: int


async def call(client: "redis.asyncio.Redis", *command: str | bytes | int) -> Any:
    """The reply of a command, as the server sends it."""
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def trim(
    client: "redis.asyncio.Redis", key: str, *, older_than_ms: int, max_bytes: int
) -> Trimmed:
    """Remove what is older than a server time (ms) and acknowledged by all groups; more at need.

    Above ``max_bytes`` first all that is acknowledged goes, then the oldest, acknowledged or not.
    Without a group nothing is ever acknowledged, and age and size alone decide.
    """
    unread_from = await _unread_from(client, key)
    keep_from = (older_than_ms, 0)
    if unread_from is not None:
        keep_from = min(keep_from, unread_from)
    removed = await _remove_before(client, key, keep_from, exact=False)
    size_bytes = await _size_bytes(client, key)
    if size_bytes > max_bytes and unread_from is not None:
        removed += await _remove_before(client, key, unread_from, exact=True)
        size_bytes = await _size_bytes(client, key)
    if size_bytes <= max_bytes:
        return Trimmed(removed, 0)
    length = int(await call(client, "XLEN", key))
    forced = int(
        await call(client, "XTRIM", key, "MAXLEN", int(length * _ROOM * max_bytes / size_bytes))
    )
    return Trimmed(removed + forced, forced if unread_from is not None else 0)


async def _unread_from(client: "redis.asyncio.Redis", key: str) -> tuple[int, int] | None:
    """The first entry that some group has not acknowledged; None where there is no group."""
    try:
        groups = await call(client, "XINFO", "GROUPS", key)
    except ResponseError:  # no such key
        return None
    first: tuple[int, int] | None = None
    for group in map(named, groups):
        if group["pending"]:
            summary = await call(client, "XPENDING", key, group["name"])
            lowest = summary["min"] if isinstance(summary, dict) else summary[1]
            unread = _id(lowest)
        else:
            delivered_ms, delivered_seq = _id(group["last-delivered-id"])
            unread = (delivered_ms, delivered_seq + 1)
        first = unread if first is None else min(first, unread)
    return first


async def _remove_before(
    client: "redis.asyncio.Redis", key: str, keep_from: tuple[int, int], *, exact: bool
) -> int:
    limit = f"{keep_from[0]}-{keep_from[1]}"
    # "~" leaves whole nodes (100 entries) alone and costs the server next to nothing.
    return int(await call(client, "XTRIM", key, "MINID", "=" if exact else "~", limit))


async def _size_bytes(client: "redis.asyncio.Redis", key: str) -> int:
    """An estimate from a sample; 0 where the stream does not exist or the server does not say."""
    try:
        return int(await call(client, "MEMORY", "USAGE", key) or 0)
    except ResponseError:
        return 0


def named(reply: Any) -> Mapping[str, Any]:
    """A reply of names and values, flat in RESP2 and a map in RESP3, as a mapping."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {_text(name): value for name, value in pairs}


def _id(entry_id: str | bytes) -> tuple[int, int]:
    ms, _, seq = _text(entry_id).partition("-")
    return int(ms), int(seq)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

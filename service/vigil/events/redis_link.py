"""One connection to the Redis stream: adding batches atomically, checking the server, trimming.

A batch is one script call where the server allows scripts (3 µs of this process's time an event, 99,000
events a second here), else one MULTI (17 µs, 40,000 a second). Either is all or nothing, so that no
failure in its middle can change the order.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import redis.asyncio
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, ResponseError

from vigil.config import redacted_url
from vigil.errors import InvalidConfig
from vigil.events.redis_server import Server, look, look_for_risks
from vigil.events.settings import EventSettings
from vigil.events.trim import Trimmed, call, named, trim

IDMP_EVENTS = 10_000  # ids that the server remembers a producer: the most that it takes
IDMP_S = 86_400  # and for how long: the most that it takes

# KEYS: the stream. ARGV: the producer or "", then id, type, stream, data of each event.
# An error is given back as XADD's own (OOM …, READONLY …), which Redis before 7 wraps in where it was.
_ADD = """
for i = 2, #ARGV, 4 do
    local reply
    if ARGV[1] == '' then
        reply = redis.pcall('XADD', KEYS[1], '*',
            'id', ARGV[i], 'type', ARGV[i+1], 'stream', ARGV[i+2], 'data', ARGV[i+3])
    else
        reply = redis.pcall('XADD', KEYS[1], 'IDMP', ARGV[1], ARGV[i], '*',
            'id', ARGV[i], 'type', ARGV[i+1], 'stream', ARGV[i+2], 'data', ARGV[i+3])
    end
    if type(reply) == 'table' and reply.err then
        return redis.error_reply(string.match(reply.err, '%-(%u+ .*)$') or reply.err)
    end
end
return (#ARGV - 1) / 4
"""


class Entry(NamedTuple):
    """The fields of one entry of the Redis stream."""

    id: str
    type: str
    stream: str
    data: bytes


class RedisLink:
    """A connection, used by one task. Its methods raise redis.exceptions.RedisError or OSError.

    TimeoutError, an OSError, where no reply comes within the settings' ``reply_timeout_s``.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        *,
        settings: EventSettings,
        producer: str,
        server: Server,
        sha: str,
    ) -> None:
        self._client = client
        self._key = settings.key
        self._reply_timeout_s = settings.reply_timeout_s
        self._producer = producer if server.idempotent else ""
        self._sha = sha
        self._remembers = False
        self.server = server

    async def add(self, entries: Sequence[Entry]) -> None:
        """Append entries in order: all of them, or, where this raises, most likely none."""
        async with asyncio.timeout(self._reply_timeout_s):
            await self._add(entries)
            if self._producer and not self._remembers:
                self._remembers = await _remember_ids(self._client, self._key)

    async def _add(self, entries: Sequence[Entry]) -> None:
        if self._sha:
            fields = [field for entry in entries for field in entry]
            await _sent(self._client.evalsha(self._sha, 1, self._key, self._producer, *fields))
            return
        async with self._client.pipeline(transaction=True) as pipe:
            for entry in entries:
                idempotence = ("IDMP", self._producer, entry.id) if self._producer else ()
                pairs = (part for pair in entry._asdict().items() for part in pair)
                pipe.execute_command("XADD", self._key, *idempotence, "*", *pairs)
            await pipe.execute()

    async def ping(self) -> None:
        """Find out that the server still answers."""
        async with asyncio.timeout(self._reply_timeout_s):
            await _sent(self._client.ping())

    async def look_again(self) -> Server:
        """The server with the risks that its settings have by now."""
        async with asyncio.timeout(self._reply_timeout_s):
            self.server = self.server._replace(risks=await look_for_risks(self._client))
        return self.server

    async def trim(self, *, older_than_ms: int, max_bytes: int) -> Trimmed:
        """Hold the stream to its age and size; see `vigil.events.trim`."""
        async with asyncio.timeout(self._reply_timeout_s):
            return await trim(
                self._client, self._key, older_than_ms=older_than_ms, max_bytes=max_bytes
            )


@contextlib.asynccontextmanager
async def connected(
    url: str, *, settings: EventSettings, producer: str
) -> AsyncIterator[RedisLink]:
    """Connect, look at the server, and close in the end. Raises RedisError, OSError or ValueError."""
    client = client_of(url, connect_timeout_s=settings.connect_timeout_s)
    try:
        async with asyncio.timeout(settings.connect_timeout_s + settings.reply_timeout_s):
            sha = await _load(client)
            server = await look(client, key=settings.key, scripts=bool(sha))
        yield RedisLink(client, settings=settings, producer=producer, server=server, sha=sha)
    finally:
        await client.aclose()


def client_of(url: str, *, connect_timeout_s: float) -> "redis.asyncio.Redis":
    """A client with a connection of its own that never repeats a command by itself.

    Replies are awaited within asyncio.timeout and not with the client's ``socket_timeout``: that one
    sends inside asyncio.wait_for, which before Python 3.12 loses a cancellation that arrives as the send
    completes (seen: 1 of 20 stops hung).
    """
    return redis.asyncio.Redis.from_url(
        url,
        single_connection_client=True,
        socket_connect_timeout=connect_timeout_s,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )


def check_url(url: str) -> None:
    """Refuse an address that can never be reached. Raises InvalidConfig, without its password."""
    try:
        parse_url(url)
    except ValueError as error:
        raise InvalidConfig(f"redis.url: {redacted(str(error), url)}") from None


def redacted(text: str, url: str) -> str:
    """A text without the URL's user and password, in whatever form they may appear."""
    text = text.replace(url, redacted_url(url))
    parts = urlsplit(url)
    for secret in (parts.password, unquote(parts.password or "")):
        if secret:
            text = text.replace(secret, "***")
    return text


async def _load(client: "redis.asyncio.Redis") -> str:
    """The digest of our script in the server; "" where it runs none."""
    try:
        return str(await _sent(client.script_load(_ADD)))
    except NoPermissionError:
        return ""
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            return ""
        raise


async def _remember_ids(client: "redis.asyncio.Redis", key: str) -> bool:
    """Have the server remember a batch's ids; its default of 100 is less than one batch."""
    present = named(await call(client, "XINFO", "STREAM", key))
    if present.get("idmp-maxsize") != IDMP_EVENTS:  # setting it forgets what was remembered
        await call(client, "XCFGSET", key, "IDMP-DURATION", IDMP_S, "IDMP-MAXSIZE", IDMP_EVENTS)
    return True


async def _sent(answer: Any) -> Any:
    """The reply of a command; redis-py types these as either kind of client's."""
    return await answer

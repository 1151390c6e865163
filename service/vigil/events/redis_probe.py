"""One look at the configured Redis: whether it is there, takes our events, and has our time."""

import asyncio
import contextlib
import time
from typing import NamedTuple

from redis.exceptions import RedisError, ResponseError

from vigil.errors import Unavailable
from vigil.events.redis_link import client_of, redacted
from vigil.events.redis_server import Server, look
from vigil.events.settings import EventSettings
from vigil.events.trim import call


class Probe(NamedTuple):
    """What a look showed."""

    server: Server
    ahead_s: float  # of our wall clock, the server's
    refuses: str  # why it would take no event; empty: it would


async def probe(url: str, settings: EventSettings) -> Probe:
    """Look, leaving no trace. Raises Unavailable, without credentials, where it cannot be reached."""
    limit_s = settings.connect_timeout_s + settings.reply_timeout_s
    try:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(limit_s))
            client = client_of(url, connect_timeout_s=settings.connect_timeout_s)
            stack.push_async_callback(client.aclose)
            await call(client, "PING")
            asked_s = time.time()
            seconds, microseconds = await call(client, "TIME")
            between_s = (asked_s + time.time()) / 2
            refuses = ""
            try:
                # NOMKSTREAM on a key that does not exist adds nothing.
                await call(client, "XADD", f"{settings.key}:none", "NOMKSTREAM", "*", "probe", "0")
            except ResponseError as error:
                refuses = redacted(str(error), url)
            return Probe(
                server=await look(client, key=settings.key, scripts=True),
                ahead_s=int(seconds) + int(microseconds) / 1e6 - between_s,
                refuses=refuses,
            )
    except (RedisError, OSError, ValueError) as error:
        raise Unavailable(redacted(f"{type(error).__name__}: {error}", url)) from error

"""From the outbox to Redis: in order, marked sent only after the reply, tried for ever.

Connect and look at the server; send batches while there are any; wait for more. Any failure ends the
connection, is shown in `state`, and after a pause it begins anew.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Literal, NamedTuple, NoReturn, TypeAlias, get_args

import structlog
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from vigil.clock import Clock, SystemClock, rfc3339
from vigil.errors import Unavailable
from vigil.events.outbox import Batch, Outbox
from vigil.events.redis_link import Entry, RedisLink, connected, redacted
from vigil.events.redis_server import Server
from vigil.events.schema import stamp
from vigil.events.settings import EventHooks, EventSettings, EventTracer, NoHooks
from vigil.store.errors import DamagedState, StorageFailed

log = structlog.get_logger()

Reason: TypeAlias = Literal[
    "starting", "unreachable", "slow", "auth", "read_only", "full", "loading", "storage", "refused"
]
REASONS: tuple[Reason, ...] = get_args(Reason)

_KINDS: tuple[tuple[type[Exception], Reason], ...] = (
    (AuthenticationError, "auth"),
    (AuthorizationError, "auth"),
    (NoPermissionError, "auth"),
    (ReadOnlyError, "read_only"),
    (OutOfMemoryError, "full"),
    (BusyLoadingError, "loading"),
    (RedisTimeoutError, "slow"),
    (TimeoutError, "slow"),
)


class PublisherState(NamedTuple):
    """How it goes with Redis. Times are UTC seconds."""

    connected: bool
    since_s: float  # when `connected` last changed
    reason: Reason | None  # why not connected
    last_error: str  # for people, without credentials; stays after the trouble is over
    attempts: int  # failures in a row
    server: Server | None  # as it was found at the last connection


class Publisher:
    """The one task that writes to the Redis stream."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        url: str,
        settings: EventSettings | None = None,
        clock: Clock | None = None,
        hooks: EventHooks | None = None,
        tracer: EventTracer | None = None,
    ) -> None:
        self._outbox = outbox
        self._url = url
        self._settings = settings or EventSettings()
        self._clock = clock or SystemClock()
        self._hooks = hooks or NoHooks()
        self._tracer = tracer
        self._unmarked: tuple[Batch, float] | None = None
        self._retry = asyncio.Event()
        self._turn = asyncio.Event()  # nothing is left to send, or nothing can be sent
        self._changed = asyncio.Event()
        self._next_trim_s = 0.0
        self.state = PublisherState(False, self._clock.utc_s(), "starting", "", 0, None)

    async def run(self) -> NoReturn:
        """Publish until cancelled. Raises only what is a fault of this program."""
        while True:
            try:
                async with connected(
                    self._url, settings=self._settings, producer=self._outbox.log_id
                ) as link:
                    await link.ping()
                    await self._outbox.reread()
                    if not self._outbox.pending().events:  # else the first batch tells
                        self._set_connected(link.server)
                    while True:
                        await self._step(link)
            except (RedisError, OSError, StorageFailed, DamagedState) as error:
                self._set_failed(error)
            await self._pause()

    async def wait_until(self, holds: Callable[[PublisherState], bool]) -> PublisherState:
        """Wait until something holds of `state`; returns that state."""
        while not holds(self.state):
            await self._changed.wait()
        return self.state

    def retry_now(self) -> None:
        """Cut a pause after a failure short."""
        self._retry.set()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until Redis has everything; gives up at once while it is away. True if it has."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._outbox.pending().events and self.state.reason in (None, "starting"):
                    self._turn.clear()
                    await self._turn.wait()
        except TimeoutError:
            pass
        return not self._outbox.pending().events

    async def _step(self, link: RedisLink) -> None:
        """Send one batch, or wait for events and see that the connection still lives."""
        if self._clock.monotonic_s() >= self._next_trim_s:
            await self._trim(link)
            await self._look_again(link)
        await self._mark()
        newest = self._outbox.newest  # before looking: what comes meanwhile must end the wait
        batch = await self._outbox.unsent(self._settings.batch_events)
        if batch.events:
            await self._send(link, batch)
        else:
            self._turn.set()
            await self._wait_for_events(link, newest)

    async def _send(self, link: RedisLink, batch: Batch) -> None:
        """XADD, then mark: what dies between the two is sent again, with the same id."""
        published_at_s = self._clock.utc_s()
        published_at = rfc3339(published_at_s).encode()
        started_s = self._clock.monotonic_s()
        await link.add(
            [
                Entry(event.event_id, event.type, event.stream_id, stamp(event.body, published_at))
                for event in batch.events
            ]
        )
        now_s = self._clock.monotonic_s()
        self._unmarked = (batch, published_at_s)
        self._tell(batch, now_s=now_s, duration_s=now_s - started_s)
        if self._tracer is not None:
            ids = (event.event_id for event in batch.events)
            self._tracer.sent(ids, began_s=started_s, ended_s=now_s)
        self._set_connected(link.server)
        await self._mark()

    async def _mark(self) -> None:
        """Note what Redis has. Nothing more is sent before that is on disk."""
        if self._unmarked is not None:
            batch, published_at_s = self._unmarked
            await self._outbox.mark_sent(batch, published_at_s=published_at_s)
            self._unmarked = None

    def _tell(self, batch: Batch, *, now_s: float, duration_s: float) -> None:
        self._hooks.on_batch(events=len(batch.events), duration_s=duration_s)
        for event in batch.events:
            comparable = event.cursor > self._outbox.boot_from
            latency_s = max(0.0, now_s - event.captured_s) if comparable else None
            self._hooks.on_published(event.type, event.phase, latency_s)

    async def _wait_for_events(self, link: RedisLink, newest: int) -> None:
        try:
            async with asyncio.timeout(self._settings.idle_s):
                await self._outbox.wait_newer(newest)
        except TimeoutError:
            await link.ping()
            await self._outbox.reread()

    async def _trim(self, link: RedisLink) -> None:
        self._next_trim_s = self._clock.monotonic_s() + self._settings.trim_s
        try:
            trimmed = await link.trim(
                older_than_ms=int((self._clock.utc_s() - self._settings.retention_s) * 1000),
                max_bytes=self._settings.max_bytes,
            )
        except ResponseError as error:  # a user who may add but not trim: events go on
            text = redacted(f"the stream is not trimmed: {error}", self._url)
            self._set(self.state._replace(last_error=text))
            return
        if trimmed.unread:
            self._hooks.on_dropped("redis_max_bytes", trimmed.unread)

    async def _look_again(self, link: RedisLink) -> None:
        """Settings of the server may change while we are connected."""
        known = link.server.risks
        server = await link.look_again()
        if self.state.connected and server.risks != known:
            _warn(server)
            self._set(self.state._replace(server=server))

    async def _pause(self) -> None:
        """Wait before the next attempt: doubling from 0.1 s to 5 s, with jitter, or `retry_now`."""
        settings = self._settings
        longest_s = settings.backoff_first_s * 2.0 ** min(self.state.attempts - 1, 30)
        pause_s = random.uniform(0.5, 1.0) * min(settings.backoff_cap_s, longest_s)
        self._retry.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._retry.wait()
        except TimeoutError:
            pass

    def _set_connected(self, server: Server) -> None:
        if not self.state.connected:
            log.info("redis_connected", version=server.version)
            _warn(server)
        since_s = self.state.since_s if self.state.connected else self._clock.utc_s()
        self._set(PublisherState(True, since_s, None, self.state.last_error, 0, server))

    def _set_failed(self, error: Exception) -> None:
        since_s = self._clock.utc_s() if self.state.connected else self.state.since_s
        text = redacted(f"{type(error).__name__}: {error}", self._url)
        if reason_of(error) == "full":
            self._next_trim_s = 0.0  # before the next attempt: it may make room
        if reason_of(error) != self.state.reason:  # not again for every attempt
            log.error("redis_not_available", reason=reason_of(error), error=text)
        attempts, server = self.state.attempts + 1, self.state.server
        self._set(PublisherState(False, since_s, reason_of(error), text, attempts, server))
        self._turn.set()

    def _set(self, state: PublisherState) -> None:
        if state != self.state:
            self.state = state
            self._changed.set()
            self._changed = asyncio.Event()


def _warn(server: Server) -> None:
    for risk in server.risks:
        log.warning("redis_may_lose_events", kind=risk.kind, warning=risk.text)


def reason_of(error: BaseException) -> Reason:
    """The kind of failure, for people and metrics."""
    if isinstance(error, StorageFailed | DamagedState | Unavailable):
        return "storage"
    for kind, reason in _KINDS:
        if isinstance(error, kind):
            return reason
    # What goes wrong while it connects is wrapped by the client library.
    if error.__cause__ is not None and (inner := reason_of(error.__cause__)) != "refused":
        return inner
    return "unreachable" if isinstance(error, RedisConnectionError | OSError) else "refused"

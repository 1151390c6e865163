"""Outbox, event log and publisher together, started and stopped as one."""

import asyncio
import contextlib
from types import TracebackType
from typing import NoReturn, Self

from vigil.clock import Clock, SystemClock
from vigil.events.log import EventLog
from vigil.events.outbox import Outbox
from vigil.events.publisher import Publisher
from vigil.events.redis_link import check_url
from vigil.events.redis_server import Risk
from vigil.events.settings import EventHooks, EventSettings, EventTracer, NoHooks
from vigil.store.database import Database
from vigil.store.errors import DamagedState, StorageFailed

STOP_S = 5.0  # how long the tasks may take to end once they are told to


class EventPipeline:
    """What the service's composition enters after the database is open, and leaves before it closes.

    Leaving: no more appends, what waits goes to disk, Redis takes what it can within ``flush_grace_s``,
    the rest stays for the next start. Raises what a background task failed with, unless `watch_failure`
    did.
    """

    def __init__(
        self,
        database: Database,
        *,
        redis_url: str,
        settings: EventSettings | None = None,
        clock: Clock | None = None,
        hooks: EventHooks | None = None,
        tracer: EventTracer | None = None,
    ) -> None:
        self._settings = settings or EventSettings()
        self._flush_s = self._settings.flush_grace_s
        self._redis_url = redis_url
        clock, hooks = clock or SystemClock(), hooks or NoHooks()
        self.outbox = Outbox(
            database, settings=self._settings, clock=clock, hooks=hooks, tracer=tracer
        )
        self.publisher = Publisher(
            self.outbox,
            url=redis_url,
            settings=self._settings,
            clock=clock,
            hooks=hooks,
            tracer=tracer,
        )
        self.log = EventLog(database, self.outbox)
        self._tasks: tuple[asyncio.Task[NoReturn], ...] = ()
        self._told = False  # of a background task's failure

    async def __aenter__(self) -> Self:
        """Start publishing. Raises InvalidConfig for an address of Redis that is none."""
        check_url(self._redis_url)
        self.outbox.load()
        await self.outbox.note_boot()
        self._tasks = (
            asyncio.create_task(self.publisher.run(), name="publisher"),
            asyncio.create_task(self._sweep_for_ever(), name="event-log-sweep"),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.outbox.close()
        if not any(task.done() for task in self._tasks):
            await self.publisher.flush(self._flush_s)
        for task in self._tasks:
            task.cancel()
        _, hung = await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in hung:  # an awaitable that swallowed the first one
            task.cancel()
        if kind is None and not self._told:
            self._raise_failure()

    def troubles(self) -> list[str]:
        """What is wrong with keeping or sending events at present, for people; empty: nothing."""
        found = []
        degraded, state = self.outbox.state.degraded, self.publisher.state
        if degraded is not None:
            found.append(f"events are lost: {degraded}")
        if state.reason not in (None, "starting"):
            waiting = self.outbox.pending().events
            found.append(f"Redis takes no events ({state.reason}), {waiting} wait")
        return found + [risk.text for risk in self.risks]

    @property
    def risks(self) -> tuple[Risk, ...]:
        """What in the settings of the Redis server may lose events, as far as it has been seen."""
        server = self.publisher.state.server
        return () if server is None else server.risks

    def flush_within(self, seconds: float) -> None:
        """Wait no longer than that for Redis on leaving, where ``flush_grace_s`` is longer."""
        self._flush_s = min(self._flush_s, seconds)

    async def watch_failure(self) -> None:
        """Wait for ever; raises what a background task failed with, should one fail."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._told = True
        self._raise_failure()

    def _raise_failure(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _sweep_for_ever(self) -> NoReturn:
        """Hold the log to its limits. A disk that fails shows in the outbox's state, not here."""
        while True:
            with contextlib.suppress(StorageFailed, DamagedState):
                await self.outbox.sweep()
            await asyncio.sleep(self._settings.sweep_s)

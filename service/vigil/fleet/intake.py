"""Events of one host on their way into the outbox, in order, with the host held back when it is slow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from vigil.data import Event
from vigil.errors import Unavailable

log = structlog.get_logger()

HIGH_WATER = 2000  # events; above it the host's socket is not read
MOST_AT_ONCE = 500

Append = Callable[[Sequence[Event]], Awaitable[object]]


class EventIntake:
    """Takes events as they are heard and appends them, many at once, one append after the other.

    Bounded by holding the host back: what the outbox does not take stays in the host's socket, and
    then in the host, whose rules wait.
    """

    def __init__(
        self, append: Append, *, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._append = append
        self._pause = pause
        self._resume = resume
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    def take(self, events: Sequence[Event]) -> None:
        """Queue events; they are appended soon."""
        self._waiting.extend(events)
        if len(self._waiting) > HIGH_WATER:
            self._pause()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="event-intake")

    async def finish(self) -> None:
        """Wait until everything that was taken is appended."""
        while self._task is not None and not self._task.done():
            await self._task

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                await self._append(batch)
            except Unavailable:
                log.error("events_after_close", events=len(batch) + len(self._waiting))
                self._waiting.clear()
            if len(self._waiting) <= HIGH_WATER // 2:
                self._resume()

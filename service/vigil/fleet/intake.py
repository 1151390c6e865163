"""Events of one host on their way into the outbox, in order."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from vigil.data import Event

log = structlog.get_logger()

MOST_WAITING = 20_000  # events; an outbox that takes none for so long loses them, counted
MOST_AT_ONCE = 500


class EventSink(Protocol):
    """Where events become durable: the outbox."""

    async def append(self, events: Sequence[Event]) -> object:
        """Keep events; returns when they are on disk, or given up and counted."""

    def drop(self, reason: str, events: Sequence[Event]) -> None:
        """Count events that are lost; their stream's numbers will show the gap."""


class EventIntake:
    """Takes events as they are heard and appends them, many at once, one append after the other.

    Bounded. The host is not held back: its loop also serves its cameras and shows that it lives, and
    the outbox itself gives up, counted, on a disk that takes nothing.
    """

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    def take(self, events: Sequence[Event]) -> None:
        """Queue events; they are appended soon."""
        if len(self._waiting) + len(events) > MOST_WAITING:
            self._sink.drop("backlog", events)
            return
        self._waiting.extend(events)
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
                await self._sink.append(batch)
            except (
                Exception
            ):  # whatever it is: the next batch has its own chance, this one is counted
                log.exception("events_lost", events=len(batch))
                self._sink.drop("storage", batch)

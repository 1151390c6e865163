"""Events of one host on their way into the outbox, in order."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from vigil.data import Event

log = structlog.get_logger()

MOST_WAITING = 20_000  # events; an outbox that takes none for so long loses them, counted
MOST_AT_ONCE = 500
# At a time: what an outbox without room drops after 5 s is these.
MOST_APPENDS = 4


class EventSink(Protocol):
    """Where events become durable: the outbox."""

    async def append(self, events: Sequence[Event]) -> object:
        """Keep events, in the order of the calls; returns when they are on disk, or given up and counted."""

    def drop(self, reason: str, events: Sequence[Event]) -> None:
        """Count events that are lost; their stream's numbers will show the gap."""


class EventIntake:
    """Takes events as they are heard and appends them: what comes at once together, in its order.

    Bounded. The host is not held back: its loop also serves its cameras and shows that it lives, and
    the outbox itself gives up, counted, on a disk that takes nothing.
    """

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._heard: list[Event] = []  # since the loop's last turn
        self._kept = 0  # how many are heard or being appended
        self._taken = 0  # how many there were since the start
        # Each with how many were taken before its own.
        self._appending: dict[asyncio.Task[None], int] = {}
        self._begun = False  # the newest of them has not taken what was heard yet

    def take(self, events: Sequence[Event]) -> None:
        """Queue events; they are appended soon."""
        if self._kept + len(events) > MOST_WAITING:
            self._sink.drop("backlog", events)
            return
        self._kept += len(events)
        self._taken += len(events)
        self._heard.extend(events)
        self._begin()

    async def finish(self) -> None:
        """Wait until everything that was taken so far is appended, or given up; others may come meanwhile."""
        taken = self._taken
        while self._appending and min(self._appending.values()) < taken:
            await asyncio.wait(self._appending, return_when=asyncio.FIRST_COMPLETED)

    def _begin(self) -> None:
        if self._heard and not self._begun and len(self._appending) < MOST_APPENDS:
            self._begun = True
            task = asyncio.create_task(self._append(), name="event-intake")
            self._appending[task] = self._taken - len(self._heard)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._appending[task]
        self._begin()

    async def _append(self) -> None:
        """Tasks begin in the order in which they are made, and the sink keeps that of its appends."""
        self._begun = False
        batch, self._heard = self._heard[:MOST_AT_ONCE], self._heard[MOST_AT_ONCE:]
        self._begin()
        try:
            await self._sink.append(batch)
        except Exception:  # whatever it is: the next batch has its own chance, this one is counted
            log.exception("events_lost", events=len(batch))
            self._sink.drop("storage", batch)
        finally:
            self._kept -= len(batch)

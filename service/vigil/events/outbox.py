"""The durable way out: events are on disk, numbered, before anything else happens to them.

One event loop uses an outbox. Appends that come while a commit runs share the next one.
"""

import asyncio
import sqlite3
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from vigil.clock import Clock, SystemClock
from vigil.data import Event
from vigil.errors import Unavailable
from vigil.events import retention, table
from vigil.events.settings import EventHooks, EventSettings, EventTracer, NoHooks
from vigil.events.table import Appended, Unsent
from vigil.store.database import Database
from vigil.store.errors import DamagedState, StorageFailed

COMMIT_EVENTS = 500  # in one transaction at most: marking a batch as sent waits for one
# A commit, its hand-over to Redis and their acknowledgements take a millisecond of processor time, whatever
# is in them: where events come often, commits begin so far apart at least, unless many wait.
SPACING_S = 0.004
MANY_EVENTS = 100
TAIL_EVENTS = (
    2000  # newest events kept in memory until they are sent, so that they are not read back
)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Pending(NamedTuple):
    """What waits for Redis."""

    events: int
    oldest_s: float | None  # UTC seconds when the first of them was stored


class OutboxState(NamedTuple):
    """Whether events can be kept at present, and how many could not since the start."""

    degraded: str | None  # why not, and what to do; None: all is well
    dropped: int


class Batch(NamedTuple):
    """Events to send next, in order; ``after`` is the last cursor sent before them."""

    after: int
    events: list[Unsent]


class _Waiting(NamedTuple):
    events: Sequence[Event]
    future: asyncio.Future[list[int | None]]


class Outbox:
    """The event log's writing side. `load` once after the database is open, then append.

    Bounded: 20,000 events wait for a commit; an append beyond that waits up to ``append_timeout_s`` and
    is then dropped, counted. Where the disk fails, appends are dropped at once, counted, and tried again
    each time, so that the outbox mends itself.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: EventSettings | None = None,
        clock: Clock | None = None,
        hooks: EventHooks | None = None,
        tracer: EventTracer | None = None,
    ) -> None:
        self._database = database
        self._settings = settings or EventSettings()
        self._clock = clock or SystemClock()
        self._hooks = hooks or NoHooks()
        self._tracer = tracer
        self._waiting: deque[_Waiting] = deque()
        self._waiting_events = 0
        self._room = asyncio.Condition()
        self._outside = 0  # appends that wait for room, one after the other
        self._entry = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._next_commit_s = 0.0  # but for many events, the next one begins no sooner
        self._lost: Counter[str] = Counter()
        self._closed = False
        self._degraded: str | None = None
        self._dropped = 0
        self._oldest_s: float | None = None  # when the first unsent event was stored
        self._sent = 0
        self._holes = 0  # cursors after _sent whose events were swept away
        self._tail: deque[Unsent] = (
            deque()
        )  # all events after _tail_from; emptied when it grows long
        self._tail_from = 0
        self.newest = 0  # the last cursor given
        self.boot_from = 0  # captured_s of events after this cursor is of this boot's clock
        self.log_id = ""

    def load(self) -> None:
        """Read where the log stands."""
        read = self._database.read_now
        self.log_id = read(table.log_id)
        self.newest = read(table.position).newest
        self._take_stock(read(table.backlog))

    async def note_boot(self) -> None:
        """Find out since which event ``captured_s`` can be compared with this machine's clock."""
        boot_id = _BOOT_ID.read_text().strip()
        self.boot_from = await self._database.write(partial(table.note_boot, boot_id=boot_id))

    async def append(self, events: Sequence[Event]) -> list[int | None]:
        """Keep events; returns their numbers (event_seq) once they are on disk, None for a dropped one.

        An event that is in the log already keeps its number and is not sent again. Raises Unavailable
        after `close`.
        """
        if self._closed:
            raise Unavailable("the outbox is closed: the service is stopping")
        if not events:
            return []
        started_s = self._clock.monotonic_s()
        if not await self._admit(len(events)):
            self.drop("backlog", events)
            return [None] * len(events)
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush(), name="outbox")
        # A caller that gives up does not take its events back.
        seqs = await asyncio.shield(waiting.future)
        if seqs[0] is not None:
            now_s = self._clock.monotonic_s()
            self._hooks.on_committed(events=len(events), wait_s=now_s - started_s)
            if self._tracer is not None:
                ids = (event.event_id for event in events)
                self._tracer.kept(ids, began_s=started_s, ended_s=now_s)
        return seqs

    async def close(self) -> None:
        """Refuse further events and wait until those that wait are on disk."""
        self._closed = True
        if self._flusher is not None:
            await self._flusher

    def pending(self) -> Pending:
        """How many events Redis does not have, and since when the oldest waits."""
        events = max(0, self.newest - self._sent - self._holes)
        return Pending(events, self._oldest_s if events else None)

    @property
    def state(self) -> OutboxState:
        """Whether the outbox keeps what it is given."""
        return OutboxState(self._degraded, self._dropped)

    async def wait_newer(self, cursor: int) -> int:
        """Wait until there is an event after a cursor; returns the newest cursor."""
        while self.newest <= cursor:
            await self._changed.wait()
        return self.newest

    async def unsent(self, limit: int) -> Batch:
        """The next events to send, oldest first; from memory where they are the newest ones."""
        if self._sent < self._tail_from:
            self._sent, events = await self._database.read(partial(table.unsent, limit=limit))
            if not events:  # what was counted is no longer there
                await self.reread()
        else:
            while self._tail and self._tail[0].cursor <= self._sent:
                self._tail.popleft()
            events = list(islice(self._tail, limit))
        if events:
            self._oldest_s = events[0].stored_at_s
        return Batch(self._sent, events)

    async def mark_sent(self, batch: Batch, *, published_at_s: float) -> None:
        """Note that Redis has acknowledged a batch of `unsent`. Raises StorageFailed.

        That may wait for the next commit, unless many events wait for Redis: they wait for this.
        """
        after, last = batch.after, batch.events[-1].cursor
        job = partial(table.mark_sent, after=after, last=last, published_at_s=published_at_s)
        within_s = SPACING_S if self.newest - last < MANY_EVENTS else 0.0
        if await self._database.write(job, within_s=within_s):
            self._sent = last
            self._holes -= last - after - len(batch.events)
        else:
            await self.reread()

    async def reread(self) -> None:
        """Take from the log itself what waits for Redis: `vigil outbox` may have changed it."""
        self._take_stock(await self._database.read(table.backlog))

    def _take_stock(self, backlog: table.Backlog) -> None:
        """Start from a count of a moment ago; what was appended since is in the tail and in newest."""
        self._sent, self._oldest_s = backlog.position.sent, backlog.oldest_s
        self._holes = backlog.position.newest - self._sent - backlog.events
        self._tail.clear()
        self._tail_from = self.newest

    async def sweep(self) -> int:
        """Hold the log to its age and size; returns how many events it no longer keeps."""
        deleted = lost = 0
        job = partial(
            retention.sweep,
            older_than_s=self._clock.utc_s() - self._settings.retention_s,
            max_bytes=self._settings.max_bytes,
            keep_head=self._settings.batch_events,
        )
        while (swept := await self._database.write(job)).more:
            deleted += swept.deleted
            for reason, events in (("age", swept.lost_age), ("max_bytes", swept.lost_bytes)):
                if events:
                    lost += events
                    self._dropped += events
                    self._hooks.on_dropped(reason, events)
        if lost:
            await self.reread()
        return deleted

    async def _admit(self, events: int) -> bool:
        """Wait for room among those that wait, in the order of the calls; False where none came in time."""

        def room() -> bool:
            waiting = self._waiting_events
            return waiting == 0 or waiting + events <= self._settings.queue_events

        if self._outside or not room():  # nobody overtakes those who wait outside
            self._outside += 1
            try:
                async with (
                    asyncio.timeout(self._settings.append_timeout_s),
                    self._entry,
                    self._room,
                ):
                    await self._room.wait_for(room)
            except TimeoutError:
                return False
            finally:
                self._outside -= 1
        self._waiting_events += events
        return True

    async def _flush(self) -> None:
        """Commit what waits, as much at once as there is; ends when nothing waits."""
        try:
            while self._waiting:
                await self._keep_apart()
                group = self._take_group()
                await self._commit(group)
                self._waiting_events -= sum(len(waiting.events) for waiting in group)
                async with self._room:
                    self._room.notify_all()
        finally:
            self._flusher = None

    async def _keep_apart(self) -> None:
        """Let more events come where the last commit has just been; one after a pause goes at once."""
        wait_s = self._next_commit_s - self._clock.monotonic_s()
        if wait_s > 0.0 and self._waiting_events < MANY_EVENTS and not self._closed:
            await asyncio.sleep(wait_s)
        self._next_commit_s = self._clock.monotonic_s() + SPACING_S

    def _take_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        events = len(group[0].events)
        while self._waiting and events + len(self._waiting[0].events) <= COMMIT_EVENTS:
            group.append(self._waiting.popleft())
            events += len(group[-1].events)
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        events = [event for waiting in group for event in waiting.events]
        lost = {event.stream_id: self._lost[event.stream_id] for event in events}
        stored_at_s = self._clock.utc_s()

        def job(connection: sqlite3.Connection) -> Appended:
            return table.append(connection, events, lost=lost, stored_at_s=stored_at_s)

        try:
            appended = await self._database.write(job)
        except (StorageFailed, DamagedState, Unavailable) as error:
            self._degraded = str(error)
            self.drop("storage", events)
            _resolve(group, [None] * len(events))
            return
        except Exception as error:  # a bug: its callers shall see it
            for waiting in group:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            return
        self._degraded = None
        # Only where a number was left out: an event that was known already shows no loss.
        numbered = {event.stream_id for event in appended.fresh}
        self._lost -= Counter({stream_id: lost[stream_id] for stream_id in numbered})
        if not self.pending().events:
            self._oldest_s = stored_at_s
        self.newest = appended.newest
        self._keep_tail(appended.fresh)
        self._changed.set()
        self._changed = asyncio.Event()
        _resolve(group, list(appended.seqs))

    def _keep_tail(self, fresh: list[Unsent]) -> None:
        if len(self._tail) + len(fresh) <= TAIL_EVENTS:
            self._tail.extend(fresh)
        else:
            self._tail.clear()
            self._tail_from = self.newest

    def drop(self, reason: str, events: Sequence[Event]) -> None:
        """Count events as lost: their streams' numbers will show the gap."""
        for event in events:
            self._lost[event.stream_id] += 1
        self._dropped += len(events)
        self._hooks.on_dropped(reason, len(events))


def _resolve(group: list[_Waiting], seqs: list[int | None]) -> None:
    start = 0
    for waiting in group:
        end = start + len(waiting.events)
        if not waiting.future.done():
            waiting.future.set_result(seqs[start:end])
        start = end

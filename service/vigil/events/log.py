"""Reading the event log: pages of the past, and watching it from any cursor on without gap or repeat."""

import contextlib
import math
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple, TypeAlias

import msgspec

from vigil.data import Attributes, Event, Phase
from vigil.errors import CursorExpired, FieldViolation
from vigil.events import table
from vigil.events.outbox import Outbox
from vigil.events.schema import decode
from vigil.store.database import Database

SCAN = 5000  # events looked at in one read: 1 ms where SQLite rejects them, 50 ms where we must
PAGE = 256  # events that a watcher holds at most
ROUNDING_S = 0.001  # an event's text has its time in whole milliseconds


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events. An empty field passes everything; all that are set must hold.

    ``types`` are exact (zone.enter) or a family (zone.*). Times are UTC seconds of ``occurred_at``:
    from ``start_s`` on and before ``end_s``. An attribute is compared as text; a dot reaches into an
    object, and an object itself is compared by its ``class``.
    """

    stream_ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    phases: frozenset[Phase] = frozenset()
    rule_ids: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    min_score: float = 0.0
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    start_s: float | None = None
    end_s: float | None = None

    def passes(self, event: Event) -> bool:
        """Whether an event is one of those asked for."""
        return (
            (not self.stream_ids or event.stream_id in self.stream_ids)
            and (not self.types or self._type_passes(event.type))
            and (not self.phases or event.phase in self.phases)
            and (not self.rule_ids or event.rule_id in self.rule_ids)
            and (not self.classes or event.class_name in self.classes)
            and (self.min_score <= 0.0 or (event.score or 0.0) >= self.min_score)
            and self.labels.items() <= event.labels.items()
            and all(
                attribute_text(event.attributes, name) == wanted
                for name, wanted in self.attributes.items()
            )
            and (self.start_s is None or event.occurred_at_s >= self.start_s)
            and (self.end_s is None or event.occurred_at_s < self.end_s)
        )

    def _type_passes(self, event_type: str) -> bool:
        return event_type in self.types or any(
            event_type.startswith(wanted[:-1]) for wanted in self.types if wanted.endswith(".*")
        )


def attribute_text(attributes: Attributes, name: str) -> str | None:
    """An event's attribute as a filter sees it: true, 2, 1.5, text; None where there is none.

    ``type.probability`` is a member of the object ``type``, and ``type`` its class.
    """
    found: object = attributes.get(name)
    if found is None:
        whole, _, member = name.partition(".")
        held = attributes.get(whole)
        found = held.get(member) if isinstance(held, dict) else None
    if isinstance(found, dict):
        found = found.get("class")
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found)


class Logged(NamedTuple):
    """An event of the log, and the cursor that resumes after it."""

    event: Event
    event_seq: int
    published_at_s: float | None  # UTC, when it was handed to Redis; None: not yet
    cursor: str


class Page(NamedTuple):
    """Events in order; ``cursor`` resumes after them, ``more`` says whether that is worth it now."""

    events: list[Logged]
    cursor: str
    more: bool


Found: TypeAlias = list[Logged]


class EventLog:
    """The log's reading side. A slow watcher reads the disk at its own pace: nothing is queued for it."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def list(
        self, where: EventFilter | None = None, *, cursor: str = "", limit: int = 100
    ) -> Page:
        """Up to ``limit`` events after a cursor ("": from the oldest kept), oldest first.

        Raises CursorExpired, or FieldViolation for a cursor that is none.
        """
        where = where or EventFilter()
        position, last = await self._database.read(
            partial(self._range, cursor=cursor, start_s=where.start_s, end_s=where.end_s)
        )
        events: Found = []
        while len(events) < limit and position < last:
            found, position = await self._read(
                where, after=position, last=last, limit=limit - len(events)
            )
            events += found
        return Page(events, self._cursor(position), position < last)

    async def newest(self, *, after: str, limit: int) -> tuple[Page, int]:
        """The newest ``limit`` events after a cursor, and how many between the cursor and them are left out.

        A cursor that is "", or none of the events that are kept, is before all, and nothing is left out.
        """
        floor, newest = await self._database.read(
            partial(self._range, cursor="", start_s=None, end_s=None)
        )
        first = max(floor, newest - limit)
        left_out = 0
        with contextlib.suppress(CursorExpired, FieldViolation):
            position = self._parse(after, floor)
            left_out = max(0, first - position)
            first = max(first, position)
        events, position = await self._read(EventFilter(), after=first, last=newest, limit=limit)
        return Page(events, self._cursor(position), more=False), left_out

    async def watch(
        self, where: EventFilter | None = None, *, cursor: str = ""
    ) -> AsyncIterator[Logged]:
        """Every event after a cursor ("": from now on), in order, for ever.

        Raises CursorExpired where events after the cursor are no longer kept, also when that happens to
        a watcher that is slower than the log is kept; FieldViolation for a cursor that is none.
        """
        where = where or EventFilter()
        if cursor:
            position, _ = await self._database.read(
                partial(self._range, cursor=cursor, start_s=None, end_s=None)
            )
        else:
            position = self._outbox.newest
        while True:
            newest = await self._outbox.wait_newer(position)
            found, position = await self._read(where, after=position, last=newest, limit=PAGE)
            for logged in found:
                yield logged

    def newest_cursor(self) -> str:
        """The cursor after which only events to come are."""
        return self._cursor(self._outbox.newest)

    def _cursor(self, position: int) -> str:
        return f"{self._outbox.log_id}-{position}"

    def _parse(self, cursor: str, floor: int) -> int:
        log_id, _, digits = cursor.partition("-")
        if not (log_id and digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise FieldViolation("cursor", f"{cursor!r} is no cursor of this service")
        position = int(digits)
        if log_id != self._outbox.log_id or position < floor or position > self._outbox.newest:
            raise CursorExpired(
                f"events after cursor {cursor} are no longer kept; the oldest cursor available is"
                f" {self._cursor(floor)}"
            )
        return position

    def _range(
        self,
        connection: sqlite3.Connection,
        *,
        cursor: str,
        start_s: float | None,
        end_s: float | None,
    ) -> tuple[int, int]:
        """The positions between which events may lie: after the first, up to the second."""
        newest, _, floor = table.position(connection)
        first, last = (self._parse(cursor, floor) if cursor else floor), newest
        if start_s is not None or end_s is not None:
            # An event's time says little of its cursor: a client may push pictures of last week.
            lowest, highest = connection.execute(
                "SELECT min(cursor), max(cursor) FROM event"
                " WHERE occurred_at_s >= ? AND occurred_at_s < ?",
                (
                    -math.inf if start_s is None else start_s - ROUNDING_S,
                    math.inf if end_s is None else end_s + ROUNDING_S,
                ),
            ).fetchone()
            if lowest is None:
                return newest, newest
            first, last = max(first, lowest - 1), min(last, highest)
        return first, max(first, last)

    async def _read(
        self, where: EventFilter, *, after: int, last: int, limit: int
    ) -> tuple[Found, int]:
        """Events that pass, and the position up to which all were looked at."""
        job = partial(_scan, where=where, after=after, last=last, limit=limit)
        floor, rows, position = await self._database.read(job)
        if after < floor:
            self._parse(self._cursor(after), floor)
        logged = [
            Logged(event, seq, published_at_s, self._cursor(cursor))
            for cursor, event, seq, published_at_s in rows
        ]
        return logged, position


def _scan(
    connection: sqlite3.Connection, *, where: EventFilter, after: int, last: int, limit: int
) -> tuple[int, list[tuple[int, Event, int, float | None]], int]:
    """The log's floor, events that pass and the position up to which all were looked at.

    Streams, types, phases and rules are chosen by SQLite; the rest needs the event itself.
    """
    floor = table.position(connection).floor
    end = min(last, max(after, floor) + SCAN)
    condition, values = _condition(where)
    found: list[tuple[int, Event, int, float | None]] = []
    for cursor, captured_s, body, published_at_s in connection.execute(
        "SELECT cursor, captured_s, body, (SELECT published_at_s FROM batch WHERE last >= cursor"  # noqa: S608 - only question marks are put in
        f" ORDER BY last LIMIT 1) FROM event WHERE cursor > ? AND cursor <= ?{condition}"
        " ORDER BY cursor",
        (after, end, *values),
    ):
        read = decode(body)
        event = msgspec.structs.replace(read.event, captured_s=captured_s)
        if where.passes(event):
            found.append((cursor, event, read.event_seq, published_at_s))
            if len(found) == limit:
                return floor, found, cursor
    return floor, found, end


def _condition(where: EventFilter) -> tuple[str, list[str]]:
    condition, values = "", []
    exact = where.types if not any(wanted.endswith(".*") for wanted in where.types) else ()
    for column, wanted in (
        ("stream_id", where.stream_ids),
        ("type", exact),
        ("phase", where.phases),
        ("rule_id", where.rule_ids),
    ):
        if wanted:
            condition += f" AND {column} IN ({','.join('?' * len(wanted))})"
            values += [str(value) for value in wanted]
    return condition, values

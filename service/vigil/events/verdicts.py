"""What operators say of events: kept for good, listed, and counted into a precision."""

import sqlite3
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import msgspec

from vigil.clock import Clock
from vigil.data import Event
from vigil.errors import VigilError
from vigil.events import table
from vigil.events.schema import Published, decode, encode
from vigil.store.database import Database

MOST_KEPT = 200_000  # verdicts; the oldest go first
NEWEST = 200  # verdicts of a rule and stream that its precision is of
KNOWN_EPISODES = 256  # that were looked up of late: a guard asks first, the report a moment later


class VerdictValue(StrEnum):
    """What an operator says."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNCLEAR = "unclear"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's word on one episode. ``number`` grows with each report."""

    number: int
    value: VerdictValue
    note: str
    operator: str
    reported_at_s: float  # UTC
    event: Published  # the episode's first


class VerdictFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which verdicts. Empty fields pass everything; times are UTC seconds of the report."""

    stream_ids: frozenset[str] = frozenset()
    event_types: frozenset[str] = frozenset()
    start_s: float | None = None
    end_s: float | None = None


class Judged(NamedTuple):
    """How many of a rule's newest verdicts on a stream were right."""

    stream_id: str
    rule_type: str
    correct: int
    of: int


class UnknownEpisode(VigilError):
    """No event of that episode is kept."""

    code = "NOT_FOUND"


class Verdicts:
    """The verdicts of a state file. One event loop uses it; `load` comes first."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._judged: dict[tuple[str, str], Judged] = {}
        self._known: dict[str, Published] = {}

    def load(self) -> None:
        """Read how rules have been judged. Call once, before serving."""
        rows = self._database.read_now(partial(_judged, of=None))
        self._judged = {(row.stream_id, row.rule_type): row for row in rows}

    def judged(self) -> Sequence[Judged]:
        """Every rule type and stream with a verdict that says correct or wrong."""
        return list(self._judged.values())

    async def episode(self, episode_id: str) -> Published | None:
        """An episode's first event, if it is kept, or if there is a verdict on it."""
        if episode_id not in self._known:
            body = await self._database.read(partial(_find, episode_id=episode_id))
            if body is None:
                return None
            while len(self._known) >= KNOWN_EPISODES:
                del self._known[next(iter(self._known))]
            self._known[episode_id] = decode(body)
        return self._known[episode_id]

    async def stream_of(self, episode_id: str) -> str | None:
        """The stream that an episode happened on; None where it is not kept."""
        found = await self.episode(episode_id)
        return None if found is None else found.event.stream_id

    async def report(
        self, episode_id: str, value: VerdictValue, *, note: str, operator: str
    ) -> Verdict:
        """Keep a verdict, in place of an earlier one on the episode. Raises UnknownEpisode."""
        found = await self.episode(episode_id)
        if found is None:
            raise UnknownEpisode(
                f"no event of episode {episode_id!r} is kept: ListEvents shows those that are"
            )
        verdict = Verdict(
            number=0,
            value=value,
            note=note,
            operator=operator,
            reported_at_s=self._clock.utc_s(),
            event=found,
        )
        number, judged = await self._database.write(partial(_write, verdict=verdict))
        if judged is None:
            self._judged.pop(_rule_of(found.event), None)
        else:
            self._judged[_rule_of(found.event)] = judged
        return msgspec.structs.replace(verdict, number=number)

    async def list(self, where: VerdictFilter, *, before: int, limit: int) -> list[Verdict]:
        """Up to ``limit`` verdicts, newest first, those with a number below ``before`` (0: all)."""
        return await self._database.read(partial(_list, where=where, before=before, limit=limit))


def _rule_of(event: Event) -> tuple[str, str]:
    """The stream and the rule type that a verdict is counted under: zone of zone.enter."""
    return event.stream_id, event.type.partition(".")[0]


def _find(connection: sqlite3.Connection, *, episode_id: str) -> bytes | None:
    row = connection.execute(
        "SELECT event FROM verdict WHERE episode_id = ?", (episode_id,)
    ).fetchone()
    return bytes(row[0]) if row else table.find_episode(connection, episode_id)


def _write(connection: sqlite3.Connection, *, verdict: Verdict) -> tuple[int, Judged | None]:
    """Keep a verdict; gives its number and how its rule stands now."""
    event = verdict.event.event
    stream_id, rule_type = rule = _rule_of(event)
    connection.execute("DELETE FROM verdict WHERE episode_id = ?", (event.episode_id,))
    (number,) = connection.execute(
        "INSERT INTO verdict (episode_id, stream_id, event_type, rule_type, value, note, operator,"
        " reported_at_s, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (
            *(event.episode_id, stream_id, event.type, rule_type, verdict.value.value),
            *(verdict.note, verdict.operator, verdict.reported_at_s),
            encode(event, verdict.event.event_seq),
        ),
    ).fetchone()
    connection.execute("DELETE FROM verdict WHERE number <= ?", (number - MOST_KEPT,))
    return int(number), next(iter(_judged(connection, of=rule)), None)


def _judged(connection: sqlite3.Connection, *, of: tuple[str, str] | None) -> list[Judged]:
    """How rules stand by their newest verdicts; ``of`` is one stream and rule type, None all."""
    only = "AND stream_id = ? AND rule_type = ?" if of else ""
    rows = connection.execute(
        "SELECT stream_id, rule_type, sum(value = 'correct'), count(*) FROM ("  # noqa: S608 - a constant
        " SELECT stream_id, rule_type, value, row_number() OVER"
        " (PARTITION BY stream_id, rule_type ORDER BY number DESC) AS place"
        f" FROM verdict WHERE value IN ('correct', 'wrong') {only}"
        ") WHERE place <= ? GROUP BY stream_id, rule_type",
        (*(of or ()), NEWEST),
    )
    return [Judged(*row) for row in rows]


def _list(
    connection: sqlite3.Connection, *, where: VerdictFilter, before: int, limit: int
) -> list[Verdict]:
    condition, values = "", list[object]()
    for column, wanted in (("stream_id", where.stream_ids), ("event_type", where.event_types)):
        if wanted:
            condition += f" AND {column} IN ({','.join('?' * len(wanted))})"
            values += sorted(wanted)
    for bound, comparison in ((where.start_s, ">="), (where.end_s, "<")):
        if bound is not None:
            condition += f" AND reported_at_s {comparison} ?"
            values.append(bound)
    if before:
        condition += " AND number < ?"
        values.append(before)
    rows = connection.execute(
        "SELECT number, value, note, operator, reported_at_s, event FROM verdict"  # noqa: S608 - only question marks are put in
        f" WHERE 1{condition} ORDER BY number DESC LIMIT ?",
        (*values, limit),
    )
    return [
        Verdict(
            number=number,
            value=VerdictValue(value),
            note=note,
            operator=operator,
            reported_at_s=reported_at_s,
            event=decode(event),
        )
        for number, value, note, operator, reported_at_s, event in rows
    ]

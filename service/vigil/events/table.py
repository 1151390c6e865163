"""The event log's rows: functions of a connection, to be run as jobs of `vigil.store.Database`.

The log is ordered by ``cursor``. Events are published strictly in that order, so ``log.sent``, the last
cursor that Redis has acknowledged, parts what is sent from what is not.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from vigil.data import Event
from vigil.events.schema import encode

_INSERT = (
    "INSERT INTO event (cursor, event_key, stream_id, event_seq, type, phase, rule_id,"
    " occurred_at_s, stored_at_s, captured_s, body) VALUES "
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# Rows in one statement. sqlite3 gives the GIL away at each step: with a row a step, an event loop that
# is busy held a writer up for 5 ms (the switch interval) again and again.
_ROWS = (256, 32, 4, 1)
_HEAD_BYTES = 100  # event_id and episode_id are an event's first keys
_COUNT_ON = (
    "INSERT INTO counter (stream_id, event_seq) VALUES (?, ?)"
    " ON CONFLICT (stream_id) DO UPDATE SET event_seq = excluded.event_seq"
)


class Appended(NamedTuple):
    """What an append did: each event's number, those that are new, and the newest cursor."""

    seqs: list[int]
    fresh: "list[Unsent]"
    newest: int


class Unsent(NamedTuple):
    """An event that waits for Redis."""

    cursor: int
    event_id: str
    stream_id: str
    type: str
    phase: str
    stored_at_s: float
    captured_s: float
    body: bytes


class Position(NamedTuple):
    """The log's numbers: the last cursor given, the last one sent, and the last one no longer kept."""

    newest: int
    sent: int
    floor: int


def event_key(event_id: str) -> bytes | str:
    """How an event id is indexed: a hash's hex digits as bytes, half the size; others as they are."""
    if len(event_id) == 32:
        try:
            key = bytes.fromhex(event_id)
        except ValueError:
            return event_id
        if key.hex() == event_id:
            return key
    return event_id


def append(
    connection: sqlite3.Connection,
    events: Sequence[Event],
    *,
    lost: Mapping[str, int],
    stored_at_s: float,
) -> Appended:
    """Write events and number them, without a gap in each stream; one that is known is not repeated.

    Known is what has the same id and the same time, as all copies of an event have.

    ``lost`` says how many events of a stream could not be written since its last one that was: so many
    numbers are left out, so that a consumer sees the loss.
    """
    connection.execute("SAVEPOINT append")
    try:
        appended = _insert(connection, events, lost=lost, stored_at_s=stored_at_s)
    except (
        sqlite3.IntegrityError
    ):  # rare: looking first would cost every append a search each event
        connection.execute("ROLLBACK TO append")
        appended = _insert_unknown(connection, events, lost=lost, stored_at_s=stored_at_s)
    connection.execute("RELEASE append")
    return appended


def _insert(
    connection: sqlite3.Connection,
    events: Sequence[Event],
    *,
    lost: Mapping[str, int],
    stored_at_s: float,
) -> Appended:
    newest = position(connection).newest
    last: dict[str, int] = {}
    seqs: list[int] = []
    rows: list[tuple[object, ...]] = []
    fresh: list[Unsent] = []
    for cursor, event in enumerate(events, start=newest + 1):
        stream_id, event_id, kind, phase = event.stream_id, event.event_id, event.type, event.phase
        if stream_id not in last:
            last[stream_id] = _last_seq(connection, stream_id) + lost.get(stream_id, 0)
        seq = last[stream_id] = last[stream_id] + 1
        seqs.append(seq)
        body = encode(event, seq)
        times = (stored_at_s, event.captured_s)
        named = (cursor, event_key(event_id), stream_id, seq, kind, str(phase), event.rule_id)
        rows.append((*named, event.occurred_at_s, *times, body))
        fresh.append(Unsent(cursor, event_id, stream_id, kind, str(phase), *times, body))
    _insert_rows(connection, rows)
    connection.executemany(_COUNT_ON, last.items())
    connection.execute("UPDATE log SET newest = ?", (newest + len(rows),))
    return Appended(seqs, fresh, newest + len(rows))


def _insert_rows(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    start = 0
    for size in _ROWS:
        statement = _INSERT + ", ".join([_ROW] * size)
        while len(rows) - start >= size:
            connection.execute(statement, list(chain.from_iterable(rows[start : start + size])))
            start += size


def _insert_unknown(
    connection: sqlite3.Connection,
    events: Sequence[Event],
    *,
    lost: Mapping[str, int],
    stored_at_s: float,
) -> Appended:
    keys = [(event.occurred_at_s, event_key(event.event_id)) for event in events]
    known: dict[tuple[float, bytes | str], int] = {}
    fresh: dict[tuple[float, bytes | str], Event] = {}
    for key, event in zip(keys, events, strict=True):
        row = connection.execute(
            "SELECT event_seq FROM event WHERE occurred_at_s = ? AND event_key = ?", key
        ).fetchone()
        if row is None:
            fresh.setdefault(key, event)
        else:
            known[key] = row[0]
    added = _insert(connection, list(fresh.values()), lost=lost, stored_at_s=stored_at_s)
    known.update(zip(fresh, added.seqs, strict=True))
    return Appended([known[key] for key in keys], added.fresh, added.newest)


def find_episode(connection: sqlite3.Connection, episode_id: str) -> bytes | None:
    """The JSON of an episode's first event; None where it is not kept (any more).

    A search from the newest back, because operators judge what has just happened, and an index of hashes
    would quadruple what every append writes (see `vigil.store.migrations`). A log of 1 GB takes half a second
    of processor time.
    """
    # A quote within a JSON string is escaped: this text is a key, the event's own or a label's.
    wanted = b'"episode_id":"%b"' % episode_id.encode()
    before = position(connection).newest + 1
    while True:
        # LIMIT: sqlite3 looks for a second row before it gives the first one out
        row = connection.execute(
            "SELECT cursor, body FROM event WHERE cursor < ? AND phase = 'new'"
            " AND instr(body, ?) > 0 ORDER BY cursor DESC LIMIT 1",
            (before, wanted),
        ).fetchone()
        if row is None or row[1].find(wanted) < _HEAD_BYTES:
            return None if row is None else bytes(row[1])
        before = row[0]


def _last_seq(connection: sqlite3.Connection, stream_id: str) -> int:
    row = connection.execute(
        "SELECT event_seq FROM counter WHERE stream_id = ?", (stream_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def position(connection: sqlite3.Connection) -> Position:
    """Where the log stands."""
    return Position(*connection.execute("SELECT newest, sent, floor FROM log").fetchone())


def log_id(connection: sqlite3.Connection) -> str:
    """What tells this log from another one, in cursors and to Redis."""
    return str(connection.execute("SELECT log_id FROM log").fetchone()[0])


def note_boot(connection: sqlite3.Connection, boot_id: str) -> int:
    """The cursor after which ``captured_s`` is of this boot's monotonic clock."""
    connection.execute(
        "UPDATE log SET boot_id = ?, boot_from = newest WHERE boot_id <> ?", (boot_id, boot_id)
    )
    return int(connection.execute("SELECT boot_from FROM log").fetchone()[0])


def unsent(connection: sqlite3.Connection, limit: int) -> tuple[int, list[Unsent]]:
    """The last cursor sent, and up to ``limit`` events after it, in order."""
    sent = position(connection).sent
    rows = connection.execute(
        "SELECT cursor, event_key, stream_id, type, phase, stored_at_s, captured_s, body FROM event"
        " WHERE cursor > ? ORDER BY cursor LIMIT ?",
        (sent, limit),
    )
    return sent, [Unsent(row[0], _event_id(row[1]), *row[2:]) for row in rows]


def _event_id(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.hex()


class Backlog(NamedTuple):
    """What waits for Redis: how many events, since when (UTC seconds), and where the log stands."""

    events: int
    oldest_s: float | None
    position: Position


def backlog(connection: sqlite3.Connection) -> Backlog:
    """Count what waits for Redis: a quarter of a microsecond an event."""
    connection.execute("BEGIN")  # one moment of the log for all three
    try:
        now = position(connection)
        after = (now.sent,)
        (count,) = connection.execute(
            "SELECT count(*) FROM event WHERE cursor > ?", after
        ).fetchone()
        first = connection.execute(
            "SELECT stored_at_s FROM event WHERE cursor > ? ORDER BY cursor LIMIT 1", after
        ).fetchone()
    finally:
        connection.execute("ROLLBACK")
    return Backlog(int(count), None if first is None else float(first[0]), now)


def mark_sent(
    connection: sqlite3.Connection, *, after: int, last: int, published_at_s: float
) -> bool:
    """Note that Redis has the events from ``after`` (exclusive) to ``last``.

    False, and nothing is noted, where ``after`` is not what was sent before: `send_again` came between.
    """
    moved = connection.execute("UPDATE log SET sent = ? WHERE sent = ?", (last, after)).rowcount
    if moved:
        connection.execute(
            "INSERT OR REPLACE INTO batch (last, published_at_s) VALUES (?, ?)",
            (last, published_at_s),
        )
    return bool(moved)


def send_again(connection: sqlite3.Connection, *, after: int) -> None:
    """Have all kept events after a cursor published once more."""
    connection.execute(
        "INSERT OR IGNORE INTO batch SELECT ?, published_at_s FROM batch"
        " WHERE last >= ? ORDER BY last LIMIT 1",
        (after, after),
    )
    connection.execute("DELETE FROM batch WHERE last > ?", (after,))
    connection.execute("UPDATE log SET sent = max(floor, min(sent, ?))", (after,))


def give_up(connection: sqlite3.Connection, *, through: int) -> None:
    """Have the events that wait for Redis, up to and with a cursor, never published; they stay kept."""
    connection.execute("UPDATE log SET sent = max(sent, min(newest, ?))", (through,))

"""How the event log is held to its age and size: oldest first, and what Redis has before what it lacks.

Jobs of `vigil.store.Database`, each a bounded piece of work, so that no append waits long behind one.
"""

import sqlite3
from typing import NamedTuple

from vigil.events.table import position

CHUNK = 1000  # events deleted at once: 5 ms of CPU here
# Sent last and missed least: what only repeats or refreshes an episode.
_MINOR = "(phase = 'update' OR type = 'marker')"


class Swept(NamedTuple):
    """What one piece of sweeping did; ``more`` says that there is more to do."""

    deleted: int
    lost_age: int = 0  # of those, not sent and too old
    lost_bytes: int = 0  # of those, not sent and no room for them
    more: bool = False


def sweep(
    connection: sqlite3.Connection, *, older_than_s: float, max_bytes: int, keep_head: int
) -> Swept:
    """Delete up to 1,000 events that are too old, or, where the log is too large, the oldest ones.

    ``older_than_s`` is UTC. Of those that Redis does not have yet, minor ones (updates, markers) go
    first, and never the first ``keep_head``, which may be on their way.
    """
    old = _last_older_than(connection, older_than_s)
    if old is not None:
        return _delete_through(connection, old)
    if used_bytes(connection) <= max_bytes:
        return Swept(0)
    sent = position(connection).sent
    (last,) = connection.execute(
        "SELECT max(cursor) FROM (SELECT cursor FROM event WHERE cursor <= ? ORDER BY cursor LIMIT ?)",
        (sent, CHUNK),
    ).fetchone()
    if last is not None:
        return _delete_through(connection, last)
    for wanted in (_MINOR, "1"):
        lost = connection.execute(
            "DELETE FROM event WHERE cursor IN (SELECT cursor FROM event WHERE cursor >"  # noqa: S608 - constants of this module
            f" coalesce((SELECT cursor FROM event WHERE cursor > ? ORDER BY cursor LIMIT 1 OFFSET ?), ?)"
            f" AND {wanted} ORDER BY cursor LIMIT ?)",
            (sent, keep_head - 1, position(connection).newest, CHUNK),
        ).rowcount
        if lost:
            return Swept(lost, lost_bytes=lost, more=True)
    return Swept(0)


def used_bytes(connection: sqlite3.Connection) -> int:
    """What the state file holds, free pages within it not counted."""
    pages, free, page_bytes = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_bytes


def _last_older_than(connection: sqlite3.Connection, utc_s: float) -> int | None:
    first = connection.execute("SELECT stored_at_s FROM event ORDER BY cursor LIMIT 1").fetchone()
    if first is None or first[0] >= utc_s:
        return None
    (last,) = connection.execute(
        "SELECT max(cursor) FROM (SELECT cursor, stored_at_s FROM event ORDER BY cursor LIMIT ?)"
        " WHERE stored_at_s < ?",
        (CHUNK, utc_s),
    ).fetchone()
    return int(last)


def _delete_through(connection: sqlite3.Connection, last: int) -> Swept:
    (lost,) = connection.execute(
        "SELECT count(*) FROM event WHERE cursor > (SELECT sent FROM log) AND cursor <= ?", (last,)
    ).fetchone()
    deleted = connection.execute("DELETE FROM event WHERE cursor <= ?", (last,)).rowcount
    connection.execute("DELETE FROM batch WHERE last <= ?", (last,))
    connection.execute("UPDATE log SET floor = max(floor, ?), sent = max(sent, ?)", (last, last))
    return Swept(deleted, lost_age=int(lost), more=True)

"""The schema of the state file, as the steps that lead to it; ``user_version`` counts them.

A released step is never changed: what is wrong with it is put right by the next one.
"""

import sqlite3
from pathlib import Path

from vigil.store.errors import NewerState

# counter outlives its stream: a stream that is added again goes on counting runs, generations and
# event numbers, so that none is ever used twice.
#
# event.cursor orders all events; publishing goes strictly in that order, so that one number,
# log.sent, says what Redis has acknowledged: marking a batch rewrites one row and not the batch's.
# log.newest is the last cursor given, log.floor the last one whose event is no longer kept.
# batch says when the events up to a cursor were handed to Redis.
#
# event_by_time finds an event that is known already. Its key begins with the event's time, which all
# copies share, because ids are hashes: an index of ids alone has its inserts all over the file. Measured
# at 100,000 events: 500 more rewrote 505 pages with that, 134 with this, at half the CPU.
_FIRST = """
CREATE TABLE stream (
    stream_id TEXT PRIMARY KEY,
    spec BLOB NOT NULL,
    generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE counter (
    stream_id TEXT PRIMARY KEY,
    run INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    event_seq INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE event (
    cursor INTEGER PRIMARY KEY,
    event_key BLOB NOT NULL,
    stream_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    phase TEXT NOT NULL,
    rule_id TEXT,
    occurred_at_s REAL NOT NULL,
    stored_at_s REAL NOT NULL,
    captured_s REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX event_by_time ON event (occurred_at_s, event_key);
CREATE INDEX event_by_stream ON event (stream_id);
CREATE TABLE batch (
    last INTEGER PRIMARY KEY,
    published_at_s REAL NOT NULL
);
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_id TEXT NOT NULL,
    boot_id TEXT NOT NULL DEFAULT '',
    boot_from INTEGER NOT NULL DEFAULT 0,
    newest INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 0
);
INSERT INTO log (one, log_id) VALUES (1, lower(hex(randomblob(4))));
"""

# A verdict has the episode's first event beside it, because it is kept for longer than the log. number
# orders the reports: a verdict that takes another's place gets a new one.
_VERDICTS = """
CREATE TABLE verdict (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    episode_id TEXT NOT NULL UNIQUE,
    stream_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    rule_type TEXT NOT NULL,
    value TEXT NOT NULL,
    note TEXT NOT NULL,
    operator TEXT NOT NULL,
    reported_at_s REAL NOT NULL,
    event BLOB NOT NULL
);
CREATE INDEX verdict_by_rule ON verdict (stream_id, rule_type, number);
"""

# played: the newest run reached a file's end, so that a start of the service does not play it again.
_PLAYED = """
ALTER TABLE counter ADD COLUMN played INTEGER NOT NULL DEFAULT 0;
"""

# history holds samples of learnt limits; hour counts since 1970-01-01, samples are float32.
_HISTORY = """
CREATE TABLE history (
    stream_id TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    edge TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    hour INTEGER NOT NULL,
    samples BLOB NOT NULL,
    PRIMARY KEY (stream_id, rule_id, edge, fingerprint, hour)
) WITHOUT ROWID;
"""

STEPS = (_FIRST, _VERDICTS, _PLAYED, _HISTORY)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version's schema, each step in a transaction of its own.

    Raises NewerState where the file is ahead of this version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    expect_known(version, path)
    for number, step in enumerate(STEPS[version:], start=version + 1):
        # executescript commits what is open: the script brings its own transaction.
        connection.executescript(f"BEGIN IMMEDIATE;{step}PRAGMA user_version = {number};COMMIT;")


def expect_known(version: int, path: Path) -> None:
    """Raise NewerState where a file of this schema is ahead of this version of vigil."""
    if version > len(STEPS):
        raise NewerState(
            f"{path} has schema {version}, this version of vigil knows {len(STEPS)}: install the"
            " newer vigil again, or restore the backup from before the upgrade"
            " (`vigil backup restore`)"
        )

"""What rules with learnt limits have seen, bucket by bucket, kept through any crash.

A row is an hour of one limit, its samples one after the other as float32: eight weeks of a limit are
1,344 rows and some 120 KB. A rule that is drawn anew (another fingerprint) begins anew.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vigil.store.database import Database

KEPT_HOURS = 8 * 168


class HistoryKey(NamedTuple):
    """Which limit: the rule's geometry and classes are in its fingerprint."""

    stream_id: str
    rule_id: str
    edge: str
    fingerprint: str


class History:
    """Samples by hour since 1970-01-01. One event loop uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, key: HistoryKey, hour: int, values: Sequence[float]) -> None:
        """Keep samples of one hour; those of other fingerprints and of more than 8 weeks go."""
        blob = np.array(values, "<f4").tobytes()

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO history (stream_id, rule_id, edge, fingerprint, hour, samples)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET samples = CAST(samples || excluded.samples AS BLOB)",
                (*key, hour, blob),
            )
            connection.execute(
                "DELETE FROM history WHERE stream_id = ? AND rule_id = ? AND edge = ?"
                " AND (fingerprint != ? OR hour <= ?)",
                (*key, hour - KEPT_HOURS),
            )

        await self._database.write(job)

    async def read(self, key: HistoryKey) -> dict[int, list[float]]:
        """All samples of a limit by hour."""

        def job(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return connection.execute(
                "SELECT hour, samples FROM history WHERE stream_id = ? AND rule_id = ?"
                " AND edge = ? AND fingerprint = ? ORDER BY hour",
                key,
            ).fetchall()

        rows = await self._database.read(job)
        return {hour: np.frombuffer(blob, "<f4").tolist() for hour, blob in rows}

    async def forget(self, stream_id: str) -> None:
        """The stream is removed."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM history WHERE stream_id = ?", (stream_id,))

        await self._database.write(job)

"""The streams that clients have asked for, kept through any crash.

Reads come from memory, so that a page of a thousand streams costs microseconds; writes return after the
commit. One event loop uses a registry.
"""

import asyncio
import bisect
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import msgspec

from vigil.errors import StaleGeneration, StreamExists, UnknownStream
from vigil.spec import StreamSpec
from vigil.store.database import Database
from vigil.store.errors import damaged

T = TypeVar("T")


class Registered(NamedTuple):
    """A stream's definition, secrets included, and how often it was changed."""

    spec: StreamSpec
    generation: int


class Registry:
    """Definitions, generations and run counters of streams.

    A stream id that is removed and added again goes on with the generation, run and event numbers where
    it left off: none is used twice.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._streams: dict[str, Registered] = {}
        self._order: list[str] = []
        self._played: set[str] = set()
        self._changes: set[asyncio.Task[Any]] = set()

    def load(self) -> None:
        """Read what is registered. Call once, after the database is open, before serving."""
        rows = self._database.read_now(
            lambda connection: connection.execute(
                "SELECT stream_id, spec, generation FROM stream ORDER BY stream_id"
            ).fetchall()
        )
        try:
            self._streams = {
                stream_id: Registered(msgspec.json.decode(spec, type=StreamSpec), generation)
                for stream_id, spec, generation in rows
            }
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise damaged(self._database.path, f"a stream's definition: {error}") from error
        self._order = list(self._streams)
        played = self._database.read_now(
            lambda connection: connection.execute(
                "SELECT stream_id FROM counter WHERE played"
            ).fetchall()
        )
        self._played = {stream_id for (stream_id,) in played}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._streams

    def get(self, stream_id: str) -> Registered:
        """One stream. Raises UnknownStream."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise _unknown(stream_id) from None

    def list(self, *, after: str = "", limit: int) -> list[Registered]:
        """Up to ``limit`` streams in id order, those after ``after`` ("" for the first page)."""
        start = bisect.bisect_right(self._order, after)
        return [self._streams[stream_id] for stream_id in self._order[start : start + limit]]

    async def add(self, spec: StreamSpec) -> Registered:
        """Register a stream; the same definition twice is success.

        Raises StreamExists where another definition has this id.
        """

        def job(connection: sqlite3.Connection) -> Registered:
            found = _read(connection, spec.stream_id)
            if found is not None:
                if found.spec != spec:
                    raise StreamExists(
                        f"stream {spec.stream_id!r} is registered with another definition: use"
                        " UpdateStream to change it"
                    )
                return found
            return _write(connection, spec)

        return await self._finish(self._write_and_remember(job))

    async def update(self, spec: StreamSpec, *, generation: int = 0) -> Registered:
        """Replace a stream's definition; a definition equal to the present one changes nothing.

        ``generation`` is what the caller read, 0 for whatever it is now. Raises UnknownStream,
        StaleGeneration.
        """

        def job(connection: sqlite3.Connection) -> Registered:
            found = _read(connection, spec.stream_id)
            if found is None:
                raise _unknown(spec.stream_id)
            if generation not in (0, found.generation):
                raise StaleGeneration(
                    f"stream {spec.stream_id!r} is at generation {found.generation}, not"
                    f" {generation}: read it again and repeat the change"
                )
            if found.spec == spec:
                return found
            if found.spec.source != spec.source or found.spec.enabled != spec.enabled:
                _forget_played(connection, spec.stream_id)
            return _write(connection, spec)

        return await self._finish(self._write_and_remember(job))

    async def remove(self, stream_id: str) -> None:
        """Forget a stream; its counters stay. Raises UnknownStream."""

        def job(connection: sqlite3.Connection) -> None:
            if not connection.execute(
                "DELETE FROM stream WHERE stream_id = ?", (stream_id,)
            ).rowcount:
                raise _unknown(stream_id)
            _forget_played(connection, stream_id)

        async def forget() -> None:
            await self._database.write(job)
            if self._streams.pop(stream_id, None) is not None:
                self._order.remove(stream_id)

        await self._finish(forget())

    async def next_run(self, stream_id: str) -> int:
        """A run number, from 1, that this stream id never had and that no crash gives out again."""

        def job(connection: sqlite3.Connection) -> int:
            (run,) = connection.execute(
                "INSERT INTO counter (stream_id, run) VALUES (?, 1)"
                " ON CONFLICT (stream_id) DO UPDATE SET run = run + 1, played = 0 RETURNING run",
                (stream_id,),
            ).fetchone()
            return int(run)

        return await self._database.write(job)

    async def note_played(self, stream_id: str) -> None:
        """The newest run of a stream reached the end of its file."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE counter SET played = 1 WHERE stream_id = ?", (stream_id,))

        await self._database.write(job)

    def played(self, stream_id: str) -> bool:
        """Whether, at `load`, a file had been played to its end, its stream unchanged since."""
        return stream_id in self._played

    async def _finish(self, change: Coroutine[None, None, T]) -> T:
        """Carry a change through, file and memory, though the caller (an RPC) may be cancelled."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _write_and_remember(
        self, job: Callable[[sqlite3.Connection], Registered]
    ) -> Registered:
        registered = await self._database.write(job)
        stream_id = registered.spec.stream_id
        if stream_id not in self._streams:
            bisect.insort(self._order, stream_id)
        self._streams[stream_id] = registered
        return registered


def _read(connection: sqlite3.Connection, stream_id: str) -> Registered | None:
    row = connection.execute(
        "SELECT spec, generation FROM stream WHERE stream_id = ?", (stream_id,)
    ).fetchone()
    return None if row is None else Registered(msgspec.json.decode(row[0], type=StreamSpec), row[1])


def _write(connection: sqlite3.Connection, spec: StreamSpec) -> Registered:
    (generation,) = connection.execute(
        "INSERT INTO counter (stream_id, generation) VALUES (?, 1)"
        " ON CONFLICT (stream_id) DO UPDATE SET generation = generation + 1 RETURNING generation",
        (spec.stream_id,),
    ).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO stream (stream_id, spec, generation) VALUES (?, ?, ?)",
        (spec.stream_id, msgspec.json.encode(spec), generation),
    )
    return Registered(spec, generation)


def _forget_played(connection: sqlite3.Connection, stream_id: str) -> None:
    connection.execute("UPDATE counter SET played = 0 WHERE stream_id = ?", (stream_id,))


def _unknown(stream_id: str) -> UnknownStream:
    return UnknownStream(f"no stream {stream_id!r} is registered: ListStreams names those that are")

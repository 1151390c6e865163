"""The state file: shared commits, isolation of failures, and what it says when it is broken."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from vigil.errors import Busy, Unavailable
from vigil.store import database as database_module
from vigil.store.database import Database
from vigil.store.errors import DamagedState, NewerState, StateInUse, StorageFailed


def insert(stream_id: str):
    def job(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO counter (stream_id, run) VALUES (?, 1)", (stream_id,))
        return 1

    return job


def stream_ids(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT stream_id FROM counter ORDER BY 1")]


def test_writes_that_wait_share_one_commit(tmp_path: Path) -> None:
    statements: list[str] = []
    gate = threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        gate.wait(10)
        connection.set_trace_callback(statements.append)

    async def main() -> None:
        with Database(tmp_path) as database:
            first = asyncio.create_task(database.write(hold))
            await asyncio.sleep(0)  # the first job is queued
            others = [asyncio.create_task(database.write(insert(f"s{n}"))) for n in range(100)]
            await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(first, *others)
            assert len(await database.read(stream_ids)) == 100

    asyncio.run(main())
    # The holding job's own commit, and at most one more for each time the writer looked.
    assert statements.count("COMMIT") <= 3


def test_a_write_that_may_wait_shares_the_next_ones_commit(tmp_path: Path) -> None:
    statements: list[str] = []

    async def main() -> None:
        with Database(tmp_path) as database:
            await database.write(
                lambda connection: connection.set_trace_callback(statements.append)
            )
            statements.clear()  # that one's own commit
            patient = asyncio.create_task(database.write(insert("a"), within_s=60.0))
            await asyncio.sleep(0)
            assert await database.read(stream_ids) == []
            await database.write(insert("b"))
            await patient
            assert await database.read(stream_ids) == ["a", "b"]

    asyncio.run(main())
    assert statements.count("COMMIT") == 1


def test_a_write_that_may_wait_goes_alone_in_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            assert await database.write(insert("a"), within_s=0.01) == 1
            assert await database.read(stream_ids) == ["a"]

    asyncio.run(main())


def test_closing_does_not_wait_for_company(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            patient = asyncio.create_task(database.write(insert("a"), within_s=60.0))
            await asyncio.sleep(0)
        assert await patient == 1

    asyncio.run(main())


def test_all_readers_run_from_the_start(tmp_path: Path) -> None:
    with Database(tmp_path):
        names = [thread.name for thread in threading.enumerate()]
        assert len([name for name in names if name.startswith("vigil-state-read")]) == 3


def test_a_job_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    def wrong(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO counter (stream_id, run) VALUES ('half', 1)")
        raise ValueError("mine")

    async def main() -> None:
        with Database(tmp_path) as database:
            results = await asyncio.gather(
                database.write(insert("a")),
                database.write(wrong),
                database.write(insert("b")),
                return_exceptions=True,
            )
            assert results[0] == results[2] == 1
            assert isinstance(results[1], ValueError)
            assert await database.read(stream_ids) == ["a", "b"]

    asyncio.run(main())


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    with Database(tmp_path / "state") as database:
        asyncio.run(database.write(insert("a")))
        modes = {path.name: path.stat().st_mode & 0o777 for path in database.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert any(name.endswith("-wal") for name in modes)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        path = database.path
    path.chmod(0o644)
    with Database(tmp_path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_service_is_refused(tmp_path: Path) -> None:
    with (
        Database(tmp_path),
        pytest.raises(StateInUse, match="stop it, or give this one a state"),
        Database(tmp_path),
    ):
        pass


def test_a_tool_reads_beside_the_service(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database, Database(tmp_path, exclusive=False) as other:
            await database.write(insert("a"))
            await other.write(insert("b"))
            assert await database.read(stream_ids) == ["a", "b"]

    asyncio.run(main())


@pytest.mark.parametrize("damage", ["text", "header", "page"])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, damage: str) -> None:
    with Database(tmp_path) as database:
        for number in range(300):
            asyncio.run(database.write(insert(f"stream-{number}")))
        path = database.path
    if damage == "text":
        path.write_text("this is no database\n" * 500)
    else:
        with path.open("r+b") as file:
            file.seek(20 if damage == "header" else 4096)
            file.write(b"\xff" * (80 if damage == "header" else 40960))
    with pytest.raises(DamagedState, match=r"Restore a backup .*, or move it"), Database(tmp_path):
        pass


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        path = database.path
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(NewerState, match="schema 999"), Database(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageFailed, match=r"set state\.path"),
        Database(tmp_path / "file" / "state"),
    ):
        pass


def test_a_migration_that_fails_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vigil.store import migrations

    with Database(tmp_path) as database:
        asyncio.run(database.write(insert("a")))
    steps = (*migrations.STEPS, "CREATE TABLE added (x); CREATE TABLE added (x);")
    monkeypatch.setattr(migrations, "STEPS", steps)
    with pytest.raises(sqlite3.OperationalError, match="already exists"), Database(tmp_path):
        pass
    monkeypatch.setattr(migrations, "STEPS", (*steps[:-1], "CREATE TABLE added (x);"))
    with Database(tmp_path) as database:
        assert database.read_now(stream_ids) == ["a"]
        found = database.read_now(lambda c: c.execute("PRAGMA user_version").fetchone())
        assert found == (len(steps),)


def test_a_full_disk_is_told_and_got_over(tmp_path: Path) -> None:
    def limit(pages: int):
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def much(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO batch (last, published_at_s) VALUES (1, zeroblob(500000))")

    async def main() -> None:
        with Database(tmp_path) as database:
            await database.write(limit(20))
            with pytest.raises(StorageFailed, match="free space") as raised:
                await database.write(much)
            assert raised.value.full
            await database.write(limit(100_000))
            await database.write(much)

    asyncio.run(main())


def test_closing_writes_what_waits_and_refuses_more(tmp_path: Path) -> None:
    async def main() -> None:
        database = Database(tmp_path)
        with database:
            waiting = [asyncio.create_task(database.write(insert(f"s{n}"))) for n in range(20)]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        with pytest.raises(Unavailable):
            await database.write(insert("late"))
        with Database(tmp_path) as again:
            assert len(await again.read(stream_ids)) == 20

    asyncio.run(main())


def test_too_many_waiting_writes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "QUEUE_LIMIT", 2)
    gate, started = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        started.set()
        gate.wait(10)

    async def main() -> None:
        with Database(tmp_path) as database:
            held = asyncio.create_task(database.write(hold))
            await asyncio.to_thread(started.wait, 10)
            waiting = [asyncio.create_task(database.write(insert(f"s{n}"))) for n in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await database.write(insert("one too many"))
            gate.set()
            await asyncio.gather(held, *waiting)

    asyncio.run(main())

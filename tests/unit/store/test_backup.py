"""A backup is whole, taken while the service writes, and put back without using a number twice."""

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from vigil.bench.events import make_events
from vigil.events.outbox import Outbox
from vigil.spec import Source, StreamSpec
from vigil.store.backup import SKIPPED, NoBackup, restore, save
from vigil.store.database import FILE_NAME, Database
from vigil.store.errors import DamagedState, NewerState, StateInUse
from vigil.store.registry import Registry
from vigil.store.tokens import Role, TokenFile

SPEC = StreamSpec(
    stream_id="camera-0", source=Source(uri="rtsp://10.0.0.7/live", password="secret")
)


def opened(database: Database) -> tuple[Registry, Outbox]:
    registry, outbox = Registry(database), Outbox(database)
    registry.load()
    outbox.load()
    return registry, outbox


async def fill(state: Path) -> None:
    """A stream in its third run, with five events."""
    with Database(state) as database:
        registry, outbox = opened(database)
        await registry.add(SPEC)
        for _ in range(3):
            await registry.next_run("camera-0")
        await outbox.append(make_events(5, streams=1))


def test_a_backup_is_whole_and_taken_while_writes_go_on(tmp_path: Path) -> None:
    """Each append is one transaction of 50 events: a copy has all of one or none."""

    async def main() -> None:
        with Database(tmp_path / "state") as database:
            _, outbox = opened(database)

            async def write() -> None:
                for number in range(40):
                    await outbox.append(make_events(50, streams=1, first=50 * number))

            writing = asyncio.create_task(write())
            await outbox.wait_newer(200)
            await asyncio.to_thread(save, tmp_path / "state", tmp_path / "copy")
            seen = outbox.newest
            await writing
            with Database(tmp_path / "copy") as copy:
                (count,) = copy.read_now(
                    lambda file: file.execute("SELECT count(*) FROM event").fetchone()
                )
                assert 200 <= count <= seen
                assert count % 50 == 0

    asyncio.run(main())


def test_what_is_put_back_is_what_was_saved_and_counts_on_far_beyond(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    asyncio.run(fill(state))
    TokenFile(state).add("chief", role=Role.ADMIN, prefixes=())
    assert save(state, copy).streams == 1
    assert stat.S_IMODE((copy / FILE_NAME).stat().st_mode) == 0o600
    assert sorted(path.name for path in copy.iterdir()) == ["tokens.json", FILE_NAME]

    async def go_on() -> str:
        """What the backup does not know: another run, more events, no stream."""
        with Database(state) as database:
            registry, outbox = opened(database)
            assert await registry.next_run("camera-0") == 4
            await outbox.append(make_events(5, streams=1, first=5))
            await registry.remove("camera-0")
            return outbox.log_id

    log_id = asyncio.run(go_on())
    aside = asyncio.run(restore(copy, state))
    assert aside is not None
    assert (aside / FILE_NAME).is_file()
    assert TokenFile(state).required

    async def after() -> None:
        with Database(state) as database:
            registry, outbox = opened(database)
            assert registry.get("camera-0").spec == SPEC
            assert await registry.next_run("camera-0") == SKIPPED + 4
            assert await outbox.append(make_events(1, streams=1, first=99)) == [SKIPPED + 6]
            assert outbox.pending().events == 6, "what Redis had not when it was saved goes out"
            assert outbox.log_id != log_id, "cursors of before are expired"

    asyncio.run(after())


def test_a_backup_can_be_put_where_nothing_was(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    save(tmp_path / "state", tmp_path / "copy")
    assert asyncio.run(restore(tmp_path / "copy", tmp_path / "new")) is None
    with Database(tmp_path / "new") as database:
        registry, _ = opened(database)
        assert "camera-0" in registry


def test_nothing_is_put_under_a_running_service(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    save(tmp_path / "state", tmp_path / "copy")
    with Database(tmp_path / "state"), pytest.raises(StateInUse, match="stop it first"):
        asyncio.run(restore(tmp_path / "copy", tmp_path / "state"))


def test_a_state_of_an_older_version_is_saved_as_it_is(tmp_path: Path) -> None:
    """Before an upgrade: opening it as a service does would bring it up to date."""
    path = tmp_path / "state" / FILE_NAME
    path.parent.mkdir()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE stream (stream_id TEXT)")
        file.execute("PRAGMA user_version = 1")
    file.close()
    before = path.read_bytes()
    assert save(tmp_path / "state", tmp_path / "copy").schema == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(("breakage", "error"), [("damaged", DamagedState), ("newer", NewerState)])
def test_a_backup_that_cannot_be_used_leaves_the_state_alone(
    tmp_path: Path, breakage: str, error: type[Exception]
) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    asyncio.run(fill(state))
    save(state, copy)
    if breakage == "damaged":
        whole = (copy / FILE_NAME).read_bytes()
        (copy / FILE_NAME).write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
    else:
        with sqlite3.connect(copy / FILE_NAME) as file:
            file.execute("PRAGMA user_version = 99")
        file.close()
    before = (state / FILE_NAME).read_bytes()
    with pytest.raises(error):
        asyncio.run(restore(copy, state))
    assert (state / FILE_NAME).read_bytes() == before


def test_a_folder_that_is_none_or_not_new_is_refused(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "state"))
    (tmp_path / "copy").mkdir()
    with pytest.raises(NoBackup, match="name a new folder"):
        save(tmp_path / "state", tmp_path / "copy")
    with pytest.raises(NoBackup, match="holds no state"):
        save(tmp_path / "nothing", tmp_path / "other")
    with pytest.raises(NoBackup, match="is no backup"):
        asyncio.run(restore(tmp_path / "copy", tmp_path / "state"))

"""Pictures of events between hosts and the disk: only what was announced, and every loss counted."""

import threading
from pathlib import Path

import pytest

from tests.support.event_pictures import HOST, NAME, keep, kept_pictures
from tests.support.waiting import until_async
from tests.unit.api.memory_fleet import an_event
from vigil.data import SnapshotName
from vigil.errors import Unavailable
from vigil.fleet.event_pictures import MOST_EXPECTED, MOST_WAITING_BYTES
from vigil.ipc.messages import EventPicture


def parsed(name: str) -> SnapshotName:
    found = SnapshotName.parse(name)
    assert found is not None
    return found


def picture(name: str = NAME, **fields: str) -> EventPicture:
    return EventPicture(**{"stream_id": "gate", "name": name, **fields})


async def test_what_an_event_named_is_stored_and_can_be_read(tmp_path: Path) -> None:
    async with kept_pictures(tmp_path / "s") as (pictures, counts):
        await keep(pictures, NAME, b"jpeg")
        assert await pictures.read(parsed(NAME)) == b"jpeg"
        assert (pictures.kept, counts) == ((1, 4), {"stored": 1})


async def test_what_no_event_named_is_not_stored(tmp_path: Path) -> None:
    async with kept_pictures(tmp_path / "s") as (pictures, counts):
        pictures.announced(HOST, [an_event(snapshot=NAME), an_event(snapshot="../../evil.jpg")])
        pictures.take("host-2", picture(), b"another host's")
        pictures.take(HOST, picture("../../evil.jpg"), b"out of the folder")
        pictures.take(HOST, picture(NAME.replace("-9", "-8")), b"not announced")
        pictures.take(HOST, picture(stream_id="yard"), b"as another stream's")
        pictures.take(HOST, picture(), b"a second time")
    assert counts == {"encoding": 1}
    assert not list((tmp_path / "s").iterdir())


async def test_every_loss_is_counted_by_its_reason(tmp_path: Path) -> None:
    async with kept_pictures(tmp_path / "s") as (pictures, counts):
        pictures.take(HOST, picture("", lost="busy"), b"")
        pictures.announced(HOST, [an_event(snapshot=NAME)])
        pictures.take(HOST, picture(lost="encoding"), b"")
        pictures.announced(HOST, [an_event(snapshot=NAME)])
        pictures.host_ended(HOST)
        pictures.host_ended(HOST)
        assert counts == {"busy": 1, "encoding": 1, "host_ended": 1}
        names = [NAME.replace("-9", f"-{i}") for i in range(MOST_EXPECTED + 1)]
        pictures.announced(HOST, [an_event(snapshot=name) for name in names])
        assert counts["host_ended"] == MOST_EXPECTED + 2, "a host that never sends is forgotten"


async def test_a_disk_that_fails_loses_pictures_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    async with kept_pictures(folder) as (pictures, counts):
        (folder / "gate").write_text("a file where a folder has to be")
        pictures.announced(HOST, [an_event(snapshot=NAME)])
        pictures.take(HOST, picture(), b"jpeg")
        await until_async(lambda: counts["storage"], what="the loss")
        with pytest.raises(Unavailable, match="cannot be read"):
            await pictures.read(parsed(NAME))
        (folder / "gate").unlink()
        await keep(pictures, NAME, b"jpeg")
    assert counts == {"storage": 1, "stored": 1}


async def test_a_disk_that_hangs_holds_nobody_up_and_is_waited_for_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    async with kept_pictures(tmp_path / "s") as (pictures, counts):
        put = pictures._folder.put
        monkeypatch.setattr(pictures._folder, "put", lambda *args: (go_on.wait(30), put(*args)))
        third = b"x" * (4 * 1024 * 1024)
        most = MOST_WAITING_BYTES // len(third)
        names = [NAME.replace("-9", f"-{i}") for i in range(most + 3)]
        pictures.announced(HOST, [an_event(snapshot=name) for name in names])
        for name in names:
            pictures.take(HOST, picture(name), third)
        assert counts["backlog"] == 3
        go_on.set()
        await until_async(lambda: counts["stored"] == most, what="the rest")


async def test_what_waits_is_written_before_the_service_ends(tmp_path: Path) -> None:
    async with kept_pictures(tmp_path / "s") as (pictures, counts):
        names = [NAME.replace("-9", f"-{i}") for i in range(5)]
        pictures.announced(HOST, [an_event(snapshot=name) for name in names])
        for name in names:
            pictures.take(HOST, picture(name), b"jpeg")
    assert counts == {"stored": 5}


class At:
    """A clock that stands."""

    def __init__(self, utc_s: float) -> None:
        self._utc_s = utc_s

    def monotonic_s(self) -> float:
        return 0.0

    def utc_s(self) -> float:
        return self._utc_s


async def test_old_pictures_go_when_the_service_starts(tmp_path: Path) -> None:
    taken_s = parsed(NAME).captured_at_s
    async with kept_pictures(tmp_path / "s") as (pictures, _):
        await keep(pictures, NAME, b"jpeg")
    limits = {"clock": At(taken_s + 101), "retention_s": 100.0}
    async with kept_pictures(tmp_path / "s", **limits) as (pictures, counts):
        await until_async(lambda: counts["deleted age"], what="the sweep")
        assert pictures.kept == (0, 0)
        assert await pictures.read(parsed(NAME)) is None

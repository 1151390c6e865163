"""Pictures of events on disk: whole, private, within their age and size, and fair to every camera."""

import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vigil.data import SnapshotName
from vigil.store.errors import StorageFailed
from vigil.store.snapshots import NoRoom, SnapshotFolder

T0_S = 1_769_847_300.25


def name(stream_id: str, number: int) -> SnapshotName:
    return SnapshotName(stream_id, T0_S + number, 1, number)


class Shelf:
    """A folder, and what was counted of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.deleted: Counter[str] = Counter()

    def open(self, **limits: Any) -> SnapshotFolder:
        limits = {"retention_s": 100.0, "max_bytes": 1000, "least_free_bytes": 0, **limits}
        folder = SnapshotFolder(self.path, on_deleted=self._on_deleted, **limits)
        folder.open()
        return folder

    def _on_deleted(self, reason: str, pictures: int) -> None:
        self.deleted[reason] += pictures

    def files(self) -> list[str]:
        return sorted(str(f.relative_to(self.path)) for f in self.path.rglob("*") if f.is_file())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "snapshots")


def test_a_picture_is_read_as_it_was_put_and_nobody_else_may_read_it(shelf: Shelf) -> None:
    folder = shelf.open()
    old_mask = os.umask(0)
    try:
        folder.put(name("gate", 1), b"jpeg")
    finally:
        os.umask(old_mask)
    assert folder.read(name("gate", 1)) == b"jpeg"
    assert folder.read(name("gate", 2)) is None
    path = shelf.path / str(name("gate", 1))
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (shelf.path, path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]
    assert shelf.files() == ["gate/20260131T081501250Z-1-1.jpg"]


def test_the_next_service_knows_what_is_there_and_removes_what_a_crash_left(shelf: Shelf) -> None:
    shelf.open().put(name("gate", 1), b"x" * 300)
    partial = shelf.path / "gate" / "20260131T081502250Z-1-2.jpg.partial"
    partial.write_bytes(b"half")
    own = shelf.path / "gate" / "notes.txt"
    own.write_text("an operator's")
    again = shelf.open()
    assert (again.count, again.used_bytes) == (1, 300)
    assert not partial.exists()
    assert own.exists()


def test_at_the_limit_the_camera_that_has_the_most_loses_its_oldest(shelf: Shelf) -> None:
    folder = shelf.open()
    folder.put(name("calm", 0), b"x" * 200)
    for number in range(1, 21):
        folder.put(name("busy", number), b"x" * 100)
        assert folder.used_bytes <= 1000
    assert folder.read(name("calm", 0)) is not None, "though it is the oldest of all"
    assert shelf.files()[0].startswith("busy/20260131T081513250Z"), "the newest eight are left"
    assert (folder.count, folder.used_bytes, shelf.deleted) == (9, 1000, {"max_bytes": 12})
    again = shelf.open(max_bytes=600)
    again.put(name("calm", 21), b"x" * 200)
    assert (again.used_bytes, again.read(name("calm", 0))) == (600, b"x" * 200)


def test_what_is_too_old_goes_and_empty_folders_with_it(shelf: Shelf) -> None:
    folder = shelf.open()
    folder.put(name("a", 0), b"x")
    folder.put(name("b", 50), b"x")
    folder.sweep(now_s=T0_S + 100)
    assert folder.count == 2
    folder.sweep(now_s=T0_S + 101)
    assert (folder.count, shelf.deleted) == (1, {"age": 1})
    assert [path.name for path in shelf.path.iterdir()] == ["b"]


def test_pictures_that_an_operator_deleted_are_no_error(shelf: Shelf) -> None:
    folder = shelf.open()
    folder.put(name("a", 0), b"x" * 900)
    (shelf.path / str(name("a", 0))).unlink()
    folder.put(name("a", 1), b"x" * 900)
    assert (folder.count, folder.used_bytes) == (1, 900)


def test_a_nearly_full_disk_is_left_to_the_event_log(shelf: Shelf) -> None:
    folder = shelf.open(least_free_bytes=2**60)
    with pytest.raises(NoRoom):
        folder.put(name("gate", 1), b"jpeg")
    assert shelf.files() == []


def test_what_cannot_be_written_leaves_nothing_and_is_not_counted(shelf: Shelf) -> None:
    folder = shelf.open()
    (shelf.path / "gate").write_text("a file where a folder has to be")
    with pytest.raises(OSError, match="gate"):
        folder.put(name("gate", 1), b"jpeg")
    assert (folder.count, folder.used_bytes) == (0, 0)


def test_what_is_kept_is_not_written_over(shelf: Shelf) -> None:
    folder = shelf.open()
    folder.put(name("gate", 1), b"evidence")
    with pytest.raises(FileExistsError):
        folder.put(name("gate", 1), b"another")
    assert folder.read(name("gate", 1)) == b"evidence"
    assert (folder.count, folder.used_bytes) == (1, 8)


def test_a_link_in_the_place_of_a_picture_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder = shelf.open()
    folder.put(name("gate", 1), b"jpeg")
    (shelf.path / str(name("gate", 2))).symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        folder.read(name("gate", 2))
    assert shelf.open().count == 1


def test_a_folder_that_cannot_be_had_says_what_to_do(shelf: Shelf) -> None:
    shelf.path.write_text("a file")
    with pytest.raises(StorageFailed, match=r"leave snapshots\.enabled out"):
        shelf.open()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../gate/20260131T081501250Z-1-1.jpg",
        "/etc/passwd",
        "gate/../20260131T081501250Z-1-1.jpg",
        "gate/20260131T081501250Z-1-1.jpg\n",
        "gate/20260131T081501250Z-1-1.jpg/x",
        "gate/20261331T081501250Z-1-1.jpg",
        "gate/٢٠٢٦0131T081501250Z-1-1.jpg",
        "Gate/20260131T081501250Z-1-1.jpg",
        "gate/20260131T081501250Z-1-1.png",
    ],
)
def test_only_names_of_ours_lead_to_files(text: str) -> None:
    assert SnapshotName.parse(text) is None


def test_a_name_says_when_and_sorts_by_time() -> None:
    first, second = name("gate", 9), name("gate", 10)
    assert SnapshotName.parse(str(first)) == first
    assert str(first) == "gate/20260131T081509250Z-1-9.jpg"
    assert str(first) < str(second)

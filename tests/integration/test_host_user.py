"""A service of root whose hosts are somebody else (`hosts.user`): they decode, and can reach nothing."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import videos
from tests.support.interpreter import for_user
from tests.support.processes import named
from tests.support.site import DOORS, MARKER, Site
from vigil.host import landlock
from vigil.store.database import FILE_NAME
from vigil.v1 import analysis_pb2, snapshots_pb2, streams_pb2

USER, UID = "nobody", 65534
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user"),
]
Status = streams_pb2.StreamStatus


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are their owner's."""
    with tempfile.TemporaryDirectory(prefix="vigil-user-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def site(open_folder: Path, models: Path) -> Iterator[Any]:
    python = for_user(USER, open_folder / "python")
    clips = open_folder / "clips"
    clips.mkdir()
    videos.write_clip(clips / "clip.mp4", frames=250)
    settings = {**python.environment, "VIGIL_HOSTS__USER": USER}
    with Site(
        open_folder / "site",
        models=models,
        roots=[clips],
        settings=settings,
        program=python.program,
    ) as site:
        yield site


def source(site: Any, name: str = "clip.mp4") -> Path:
    return Path(site.folder).parent / "clips" / name


def test_a_host_that_is_another_user_decodes_and_analyses(site: Any) -> None:
    for number, door in enumerate(DOORS):
        stream_id = f"gate-{number}"
        uri = source(site).as_uri()
        site.add(stream_id, uri, source_loop=True, source_backend=door, rules=[MARKER])
        assert len(site.wait_marks(stream_id, 3, timeout_s=60)) == 3
    snapshot = site.snapshots.GetSnapshot(
        snapshots_pb2.GetSnapshotRequest(stream_id="gate-0", annotated=True), timeout=30
    )
    assert snapshot.jpeg.startswith(b"\xff\xd8")
    request = analysis_pb2.DetectImageRequest(image=videos.jpeg())
    assert site.analysis.DetectImage(request, timeout=30).analysis.width_px == videos.WIDTH_PX
    accounts = site.scrape().accounts()
    assert all(accounts[f"gate-{n}"].balances for n in range(len(DOORS)))
    site.remove("gate-0", "gate-1")


def test_it_has_no_rights_of_root(site: Any) -> None:
    (pid,) = named(site.vigil.pid, "vigil.host")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    for name in ("Uid", "Gid"):
        assert set(status[name].split()) == {str(UID)}, name
    assert not status["Groups"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"  # the bounding set is whole: only root may empty it
    if landlock.version():
        assert "host_not_confined" not in site.log()
    kept = (site.vigil.state / FILE_NAME).stat()
    assert (kept.st_mode & 0o077, kept.st_uid) == (0, 0)


def test_a_file_that_only_root_may_read_is_a_state_that_says_so(site: Any) -> None:
    locked = source(site, "locked.mp4")
    locked.write_bytes(source(site).read_bytes())
    locked.chmod(0o600)
    site.add("locked", locked.as_uri())
    status = site.wait_offline("locked").status
    assert status.reason == Status.UNREACHABLE
    assert "Permission denied" in status.detail
    site.remove("locked")


def test_its_children_are_started_without_a_word_of_grpcs(site: Any) -> None:
    assert "fork_posix" not in site.log()

"""Files that are no videos, or bombs, are given to a running service: a reason, and no memory to speak of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import videos
from tests.support.processes import children
from tests.support.site import DOORS, MARKER, Status
from tests.support.videos import Clips

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
MOST_MB = 50.0
REASONS = (Status.UNSUPPORTED, Status.NO_VIDEO, Status.DECODE_ERROR)


def peak_mb(pid: int) -> float:
    """The most memory that a process has held so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


@pytest.mark.planted(
    "vigil.host.capture:check_size = lambda width_px, height_px: None",
    "vigil.host.pyav_capture:check_size = lambda width_px, height_px: None",
    caught="bomb.mjpeg|tiny.mjpeg|MB more",
)
@pytest.mark.parametrize("door", DOORS)
def test_hostile_files_are_refused_by_a_service_that_does_not_grow(
    open_site: Callable[..., Any], clips: Clips, door: Any
) -> None:
    root = clips.root
    (root / "bomb.mjpeg").write_bytes(videos.jpeg_of_nothing(width_px=16_000, height_px=16_000))
    (root / "tiny.mjpeg").write_bytes(videos.jpeg_of_nothing(width_px=1, height_px=1) * 3)
    (root / "endless.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "#EXTINF:1,\nnone.ts\n" * 1000
    )
    odd = videos.write_mjpeg(root / "odd.avi", width_px=322, height_px=242)
    hostile = [root / name for name in ("bomb.mjpeg", "tiny.mjpeg", "endless.m3u8")]
    hostile += [clips.text, clips.empty, clips.truncated]
    with open_site() as site:
        site.add("good", clips.long.as_uri(), rules=[MARKER], source_loop=True)
        site.add("odd", odd.as_uri(), rules=[MARKER], source_loop=True, source_backend=door)
        for stream_id in ("good", "odd"):
            site.wait_marks(stream_id, 5)
        site.remove("odd")
        pids = {site.vigil.pid: "service", **children(site.vigil.pid)}
        before = {pid: peak_mb(pid) for pid in pids}
        for index, path in enumerate(hostile):
            stream_id = f"hostile-{index}"
            site.add(stream_id, path.as_uri(), source_backend=door)
            status = site.wait_offline(stream_id).status
            assert status.reason in REASONS, f"{path.name}: {status}"
            assert status.detail
            print(f"{path.name}: {Status.Reason.Name(status.reason)}")
            site.remove(stream_id)
        more = {name: peak_mb(pid) - before[pid] for pid, name in pids.items()}
        print(", ".join(f"{name} {grown:+.1f} MB" for name, grown in more.items()))
        for name, grown in more.items():
            assert grown < MOST_MB, f"{name}: {grown:.0f} MB more"
        assert site.get("good").status.run >= 1
        site.wait_marks("good", 2)
        assert site.scrape().total("vigil_process_restarts_total") == 0, (
            "a process died of it: MB more?"
        )

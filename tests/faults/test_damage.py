"""Damaged streams, time that is not what it should be, files that are no videos: quick, without a service."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import videos
from tests.support.videos import Clips
from vigil.data import U8
from vigil.host.capture import CaptureFailed, CaptureLimits, configure_process, open_capture
from vigil.host.play import FAILED_GRABS
from vigil.host.timeline import WRAPS_S, LiveTimeline, TimeWentBack
from vigil.spec import CaptureBackend, Source

pytest.importorskip("av", reason="PyAV is not installed: pip install 'vigil[video]'")
LIMITS = CaptureLimits(open_timeout_s=3.0, read_timeout_s=3.0)
CLIP = 75  # frames
MOST_TRIES = 400  # of frames; a capture that never says no would hang a reader
MOST_MB = 50
_OPEN = """
import resource, sys
from vigil.host.environment import set_environment
set_environment()
from vigil.host.capture import CaptureFailed, CaptureLimits, configure_process, open_capture
from vigil.spec import CaptureBackend, Source
configure_process()
uri, door = sys.argv[1], CaptureBackend(sys.argv[2])
if door is CaptureBackend.PYAV:
    import vigil.host.pyav_capture
before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = "opens"
try:
    open_capture(Source(uri=uri, backend=door), CaptureLimits(3.0, 3.0)).grab()
except CaptureFailed as failure:
    said = failure.reason.name
except Exception as error:
    said = type(error).__name__
print(said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) // 1024)
"""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    configure_process()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return videos.write_h264(tmp_path / "clip.ts", frames=CLIP, gop=25)


def shown(path: Path, door: CaptureBackend) -> dict[int, U8]:
    """The pictures that a stream would analyse, by their place in the clip. Raises CaptureFailed."""
    capture = open_capture(Source(uri=path.as_uri(), backend=door), LIMITS)
    pictures, failed = {}, 0
    for _ in range(MOST_TRIES):
        if not capture.grab():
            failed += 1
            if failed >= FAILED_GRABS or capture.finished():
                break
            continue
        failed = 0
        if not capture.corrupt():
            pictures[round(capture.pts_s() * videos.FPS)] = capture.retrieve(None)
    else:
        raise AssertionError("the capture never ends")
    capture.close()
    return pictures


def differs(picture: U8, clean: U8) -> bool:
    """Whether more than a corner of the walking square is not where it was."""
    return bool((np.abs(picture.astype(int) - clean).max(axis=2) > 60).sum() > 50)


@pytest.mark.planted(
    "vigil.host.pyav_capture:PyAvCapture.corrupt = lambda self: False", caught="damaged pictures"
)
def test_damaged_pictures_are_not_analysed_by_pyav(clip: Path) -> None:
    rate, seeds = 2e-4, 4
    clean = shown(clip, CaptureBackend.PYAV)
    passed = damaged = 0
    for seed in range(seeds):
        path = clip.with_name(f"{seed}.ts")
        path.write_bytes(clip.read_bytes())
        videos.flip_bits(path, rate=rate, seed=seed, spare_bytes=4_000)
        for index, picture in shown(path, CaptureBackend.PYAV).items():
            passed += 1
            # a flipped bit may be one of the timestamp: then it is another frame, and whole
            likely = [clean[index]] if index in clean else []
            damaged += all(differs(picture, one) for one in [*likely, *clean.values()])
    print(
        f"bit flips at {rate:g}: {damaged} damaged pictures among the {passed} of {seeds * CLIP} that pass"
    )
    assert damaged <= 0.1 * seeds * CLIP, f"{damaged} damaged pictures are analysed"


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("door", list(CaptureBackend))
def test_damage_neither_crashes_nor_hangs_a_capture(
    clip: Path, rate: float, door: CaptureBackend
) -> None:
    videos.flip_bits(clip, rate=rate, seed=7)
    try:
        print(f"{len(shown(clip, door))} of {CLIP} pictures")
    except CaptureFailed as failure:
        print(failure.reason)


def arrive(timeline: LiveTimeline, pts_s: float, *, frames: int, start_s: float) -> list[float]:
    """Frames of 25 a second with 50 ms of network: where they were placed."""
    steps = [index / 25.0 for index in range(frames)]
    return [timeline.place(pts_s + step, start_s + step + 0.05) for step in steps]


@pytest.mark.planted("vigil.host.timeline:WRAPS_S = ()", caught="a wrap ended the run")
@pytest.mark.parametrize("wrap_s", WRAPS_S)
def test_a_dwell_over_a_wrap_is_exact_to_a_frame(wrap_s: float) -> None:
    timeline = LiveTimeline()
    before = arrive(timeline, wrap_s - 10.0, frames=250, start_s=100.0)
    try:
        after = arrive(timeline, 0.0, frames=250, start_s=110.0)
    except TimeWentBack:
        raise AssertionError("a wrap ended the run") from None
    error_s = (after[-1] - before[100]) - (19.96 - 4.0)
    print(f"a dwell over a wrap is {error_s * 1000:.1f} ms off")
    assert abs(error_s) <= 0.04


@pytest.mark.planted("vigil.host.timeline:JITTER_S = 1e9", caught="the run goes on")
def test_time_that_jumps_back_ends_the_run() -> None:
    timeline = LiveTimeline()
    arrive(timeline, 50.0, frames=250, start_s=100.0)
    try:
        timeline.place(40.0, 110.1)
    except TimeWentBack:
        return
    raise AssertionError("the run goes on")


@pytest.mark.planted(
    "vigil.host.capture:check_size = lambda width_px, height_px: None", caught=r"MB|opens"
)
def test_a_bomb_is_refused_before_it_takes_memory(clips: Clips, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.mjpeg"
    bomb.write_bytes(videos.jpeg_of_nothing(width_px=16_000, height_px=16_000))
    for door in CaptureBackend:
        reason, extra_mb = refused(bomb, door)
        print(f"{door.value}: {reason}, {extra_mb} MB for 16000x16000")
        assert (reason, extra_mb <= MOST_MB) == ("UNSUPPORTED", True), f"{reason}, {extra_mb} MB"


@pytest.mark.slow
@pytest.mark.parametrize("door", list(CaptureBackend))
def test_what_is_no_video_is_refused_with_a_reason(
    clips: Clips, tmp_path: Path, door: CaptureBackend
) -> None:
    tiny = tmp_path / "tiny.mjpeg"
    tiny.write_bytes(videos.jpeg_of_nothing(width_px=1, height_px=1) * 3)
    endless = tmp_path / "endless.m3u8"
    endless.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "#EXTINF:1,\nnone.ts\n" * 1000)
    for path in (tiny, endless, clips.text, clips.empty, clips.truncated):
        reason, extra_mb = refused(path, door)
        print(f"{path.name}: {reason}, {extra_mb} MB")
        assert reason in ("UNSUPPORTED", "NO_VIDEO"), path.name
        assert extra_mb <= MOST_MB, path.name


def refused(path: Path, door: CaptureBackend) -> tuple[str, int]:
    """The reason that a process of its own gives, and the memory that it took for it, in MB."""
    words = [sys.executable, "-c", _OPEN, path.as_uri(), door.value]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    reason, extra_mb = said.stdout.split()
    return reason, int(extra_mb)

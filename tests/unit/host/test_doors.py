"""Where the doors to video agree on what is hard, and what PyAV tells that OpenCV hides."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import videos
from vigil.data import U8, OfflineReason
from vigil.host.capture import (
    Capture,
    CaptureFailed,
    CaptureLimits,
    configure_process,
    open_capture,
)
from vigil.spec import CaptureBackend, Source

pytest.importorskip("av", reason="PyAV is not installed: pip install 'vigil[video]'")
LIMITS = CaptureLimits(open_timeout_s=10.0, read_timeout_s=10.0)
PYAV, OPENCV = CaptureBackend.PYAV, CaptureBackend.OPENCV


@pytest.fixture(autouse=True)
def _quiet() -> None:
    configure_process()


def opened(path: Path, door: CaptureBackend) -> Capture:
    return open_capture(Source(uri=path.as_uri(), backend=door), LIMITS)


def played(path: Path, door: CaptureBackend) -> list[tuple[bool, U8]]:
    """Of every frame whether it is corrupt, and its picture."""
    capture = opened(path, door)
    frames = []
    while capture.grab():
        frames.append((capture.corrupt(), capture.retrieve(None)))
    capture.close()
    return frames


@pytest.mark.parametrize("size_px", [(16_000, 16_000), (1, 1), (8_200, 40)])
def test_a_size_is_refused_before_the_first_read(
    tmp_path: Path, size_px: tuple[int, int], door: CaptureBackend
) -> None:
    path = tmp_path / "declared.mjpeg"
    width_px, height_px = size_px
    path.write_bytes(videos.jpeg_of_nothing(width_px=width_px, height_px=height_px) * 2)
    with pytest.raises(CaptureFailed) as caught:
        opened(path, door)
    assert caught.value.reason is OfflineReason.UNSUPPORTED
    assert f"{width_px}x{height_px}" in caught.value.detail


def test_pictures_of_an_odd_size_keep_it(tmp_path: Path, door: CaptureBackend) -> None:
    path = tmp_path / "odd.mjpeg"
    path.write_bytes(b"".join(videos.jpeg(i, width_px=319, height_px=241) for i in range(5)))
    frames = played(path, door)
    assert {picture.shape for _, picture in frames} == {(241, 319, 3)}
    assert (
        np.abs(frames[2][1].astype(int) - videos.picture(2, width_px=319, height_px=241)).mean() < 6
    )


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_file_is_turned_upright(
    clips: videos.Clips, tmp_path: Path, quarter_turns: int, door: CaptureBackend
) -> None:
    path = videos.turned(clips.short, tmp_path / "turned.mp4", quarter_turns=quarter_turns)
    capture = opened(path, door)
    assert capture.grab()
    picture = capture.retrieve(None)
    upright = np.rot90(videos.picture(0), -quarter_turns)
    assert picture.shape == upright.shape
    assert (capture.height_px, capture.width_px) == picture.shape[:2]
    assert np.abs(picture.astype(int) - upright).mean() < 6
    capture.close()


def test_frames_are_damaged_until_the_next_key_frame(tmp_path: Path) -> None:
    """The decoder flags what it conceals, not what it predicts from it."""
    path = videos.write_h264(tmp_path / "clip.ts", frames=150, gop=25)
    clean = [picture for _, picture in played(path, PYAV)]
    assert videos.flip_bits(path, rate=6e-5, seed=5, spare_bytes=8_000) > 10
    frames = played(path, PYAV)
    corrupt = [index for index, (damaged, _) in enumerate(frames) if damaged]
    assert len(frames) == len(clean)
    assert 0 < len(corrupt) < len(frames)
    differing = [
        index
        for index, (_, picture) in enumerate(frames)
        if np.abs(picture.astype(int) - clean[index]).mean() > 0.5
    ]
    assert differing, "the flipped bits changed no picture"
    assert set(differing) <= set(corrupt)
    assert all(index + 1 in corrupt or (index + 1) % 25 == 0 for index in corrupt)


def test_opencv_lets_damage_through(tmp_path: Path) -> None:
    path = videos.write_h264(tmp_path / "clip.ts", frames=50)
    videos.flip_bits(path, rate=1e-4, seed=5, spare_bytes=8_000)
    assert not any(damaged for damaged, _ in played(path, OPENCV))


def test_a_larger_picture_in_the_middle_has_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "grows.h264"
    parts = [
        videos.write_h264(tmp_path / "a.h264", frames=10),
        videos.write_h264(tmp_path / "b.h264", frames=10, width_px=480, height_px=270),
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    sizes = [picture.shape[:2] for _, picture in played(path, PYAV)]
    assert sizes == [(240, 320)] * 10 + [(270, 480)] * 10
    stretched = {picture.shape[:2] for _, picture in played(path, OPENCV)}
    assert stretched == {(240, 320)}


def test_a_giant_picture_in_the_middle_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "grows.mjpeg"
    giant = videos.jpeg_of_nothing(width_px=16_000, height_px=16_000)
    path.write_bytes(videos.jpeg() * 3 + giant + videos.jpeg() * 3)
    frames = played(path, PYAV)
    assert {picture.shape for _, picture in frames} == {(240, 320, 3)}
    assert len(frames) == 6

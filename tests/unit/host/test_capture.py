from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import videos
from tests.support.videos import Clips
from vigil.data import OfflineReason
from vigil.host.capture import (
    MAX_SIDE_PX,
    Capture,
    CaptureFailed,
    CaptureLimits,
    check_size,
    configure_process,
    decode_picture,
    open_capture,
)
from vigil.host.context import mask_areas
from vigil.spec import CaptureBackend, Source

LIMITS = CaptureLimits(open_timeout_s=10.0, read_timeout_s=10.0)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    configure_process()


def opened(
    path: Path, *, door: CaptureBackend = CaptureBackend.OPENCV, fps: float = 5.0
) -> Capture:
    uri = path.as_uri().replace("file:", "folder:") if path.is_dir() else path.as_uri()
    return open_capture(Source(uri=uri, folder_fps=fps, backend=door), LIMITS)


def refusal(path: Path, door: CaptureBackend = CaptureBackend.OPENCV) -> CaptureFailed:
    with pytest.raises(CaptureFailed) as caught:
        opened(path, door=door)
    return caught.value


def test_a_file_is_read_frame_by_frame_to_its_end(clips: Clips, door: CaptureBackend) -> None:
    capture = opened(clips.short, door=door)
    assert not capture.live
    assert (capture.width_px, capture.height_px, capture.fps) == (320, 240, 25.0)
    times = []
    while capture.grab():
        times.append(capture.pts_s())
        if len(times) == 5:
            picture = capture.retrieve(None)
            assert picture.shape == (240, 320, 3)
            assert np.abs(picture.astype(int) - videos.picture(4)).mean() < 6
            assert capture.retrieve(picture) is picture, "into the array that is given"
        assert not capture.corrupt()
    assert len(times) == 50
    assert times == pytest.approx([index / 25 for index in range(50)], abs=0.002)
    assert capture.finished()
    capture.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mp4", OfflineReason.UNREACHABLE),
        ("empty.mp4", OfflineReason.NO_VIDEO),
        ("notes.mp4", OfflineReason.UNSUPPORTED),
        ("truncated.mp4", OfflineReason.UNSUPPORTED),
    ],
)
def test_a_file_that_cannot_be_played_says_why(
    clips: Clips, name: str, reason: OfflineReason, door: CaptureBackend
) -> None:
    failure = refusal(clips.root / name, door)
    assert failure.reason is reason
    assert name in failure.detail


def test_a_name_with_spaces_and_percent_signs_is_a_file(
    clips: Clips, tmp_path: Path, door: CaptureBackend
) -> None:
    path = tmp_path / "a 100% clip #1.mp4"
    path.write_bytes(clips.short.read_bytes())
    capture = opened(path, door=door)
    assert capture.grab()
    capture.close()


def test_a_folder_is_played_in_name_order(clips: Clips) -> None:
    capture = opened(clips.pictures, fps=2.0)
    assert (capture.width_px, capture.height_px, capture.fps, capture.live) == (320, 240, 2, False)
    lefts, times = [], []
    while capture.grab():
        lefts.append(int((capture.retrieve(None)[100, :, 2] > 200).argmax()))
        times.append(capture.pts_s())
    assert lefts == pytest.approx([4 * index for index in range(10)], abs=2)
    assert times == [index / 2 for index in range(10)]
    assert capture.finished()


def test_a_folder_skips_what_is_no_picture(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    videos.write_folder(folder, pictures=3)
    (folder / "0000.jpg").write_bytes(b"\xff\xd8 damaged")
    (folder / "0001a.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture, by its name")
    tiny = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    (folder / "0002a.png").write_bytes(tiny)
    capture = opened(folder)
    grabbed = [capture.grab() for _ in range(5)]
    assert grabbed == [False, True, False, True, False]
    assert (capture.width_px, capture.height_px) == (320, 240)


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    assert refusal(tmp_path).reason is OfflineReason.NO_VIDEO
    (tmp_path / "only.jpg").write_bytes(b"\xff\xd8 damaged")
    assert refusal(tmp_path).reason is OfflineReason.DECODE_ERROR
    with pytest.raises(CaptureFailed) as caught:
        open_capture(Source(uri=f"folder://{tmp_path}/gone"), LIMITS)
    assert caught.value.reason is OfflineReason.UNREACHABLE


@pytest.mark.parametrize(
    ("width_px", "height_px", "reason"),
    [
        (0, 0, OfflineReason.NO_VIDEO),
        (1, 1, OfflineReason.UNSUPPORTED),
        (640, 15, OfflineReason.UNSUPPORTED),
        (16_000, 16_000, OfflineReason.UNSUPPORTED),
        (MAX_SIDE_PX + 1, 720, OfflineReason.UNSUPPORTED),
    ],
)
def test_a_size_is_refused_before_a_frame_is_decoded(
    width_px: int, height_px: int, reason: OfflineReason
) -> None:
    with pytest.raises(CaptureFailed) as caught:
        check_size(width_px, height_px)
    assert caught.value.reason is reason
    check_size(16, MAX_SIDE_PX)


@pytest.mark.parametrize("encoded", [b"", b"GIF89a is none of ours", b"\xff\xd8\xff", bytes(1000)])
def test_bytes_that_are_no_picture_decode_to_none(encoded: bytes) -> None:
    assert decode_picture(np.frombuffer(encoded, np.uint8)) is None


def test_grey_and_transparent_pictures_have_three_channels() -> None:
    for shape in ((20, 30), (20, 30, 4)):
        _, encoded = cv2.imencode(".png", np.full(shape, 77, np.uint8))
        picture = decode_picture(np.asarray(encoded, np.uint8).reshape(-1))
        assert picture is not None
        assert picture.shape == (20, 30, 3)
        assert (picture == 77).all()


def test_masked_areas_are_black_and_nothing_else_is() -> None:
    picture = np.full((100, 200, 3), 200, np.uint8)
    mask_areas(picture, (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    assert (picture[:, :100] == 0).all()
    assert (picture[:, 102:] == 200).all()
    mask_areas(picture, (((0.9, 0.9), (1.0, 0.9), (1.0, 1.0)),))
    assert (picture[99, 199] == 0).all()

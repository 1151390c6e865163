"""Small clips and pictures, rendered: a bright square walks over a grey ground."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.data import U8

WIDTH_PX, HEIGHT_PX = 320, 240
FPS = 25.0
_SIDE_PX = 40


def picture(index: int = 0, *, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> U8:
    """The clip's frame of that number: (H, W, 3) uint8 BGR."""
    image = np.full((height_px, width_px, 3), 96, np.uint8)
    left = (index * 4) % (width_px - _SIDE_PX)
    top = height_px // 3
    image[top : top + _SIDE_PX, left : left + _SIDE_PX] = (40, 220, 250)
    return image


def jpeg(index: int = 0, *, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> bytes:
    """The same, encoded."""
    _, encoded = cv2.imencode(".jpg", picture(index, width_px=width_px, height_px=height_px))
    return encoded.tobytes()


def write_clip(path: Path, *, frames: int, fps: float = FPS) -> Path:
    """An MPEG-4 video file."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (WIDTH_PX, HEIGHT_PX))
    assert writer.isOpened(), "OpenCV has no MPEG-4 writer"
    for index in range(frames):
        writer.write(picture(index))
    writer.release()
    return path


def write_folder(folder: Path, *, pictures: int) -> Path:
    """A folder of pictures, in name order."""
    folder.mkdir()
    for index in range(pictures):
        (folder / f"{index:04d}.jpg").write_bytes(jpeg(index))
    return folder


@dataclass(frozen=True, slots=True)
class Clips:
    """Every file that the tests open, good and bad, in one folder."""

    root: Path
    long: Path  # 20 s
    short: Path  # 2 s
    pictures: Path  # 10 of them
    text: Path  # text named .mp4
    empty: Path
    truncated: Path

    @classmethod
    def make(cls, root: Path) -> "Clips":
        long = write_clip(root / "long.mp4", frames=500)
        text = root / "notes.mp4"
        text.write_text("This is no video.\n" * 400)
        empty = root / "empty.mp4"
        empty.touch()
        truncated = root / "truncated.mp4"
        whole = long.read_bytes()
        truncated.write_bytes(whole[: len(whole) // 2])  # the index lies at the end
        return cls(
            root=root,
            long=long,
            short=write_clip(root / "short.mp4", frames=50),
            pictures=write_folder(root / "pictures", pictures=10),
            text=text,
            empty=empty,
            truncated=truncated,
        )

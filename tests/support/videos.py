"""Small clips and pictures, rendered: a bright square walks over a grey ground."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.data import U8

WIDTH_PX, HEIGHT_PX = 320, 240
FPS = 25.0
TS_PACKET_BYTES = 188
TS_VIDEO_PID = 256  # as FFmpeg numbers the first track
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


def write_mjpeg(path: Path, *, width_px: int, height_px: int, frames: int = 25) -> Path:
    """An AVI of motion JPEG."""
    size_px = (width_px, height_px)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, size_px)
    assert writer.isOpened(), "OpenCV has no motion JPEG writer"
    for index in range(frames):
        writer.write(picture(index, width_px=width_px, height_px=height_px))
    writer.release()
    return path


def write_h264(
    path: Path,
    *,
    frames: int,
    first: int = 0,
    gop: int = 25,
    width_px: int = WIDTH_PX,
    height_px: int = HEIGHT_PX,
) -> Path:
    """H.264 in the container that the name's suffix says (.ts, .mp4, .h264), by PyAV; no B frames."""
    places = range(first, first + frames)
    shown = [picture(index, width_px=width_px, height_px=height_px) for index in places]
    return encode_h264(path, shown, fps=int(FPS), gop=gop, places=places)


def encode_h264(
    path: Path, pictures: Sequence[U8], *, fps: int, gop: int, places: Sequence[int] = ()
) -> Path:
    """The same of given pictures of one size; ``places`` are their times, in frames from the start."""
    import av

    height_px, width_px = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "ultrafast", "tune": "zerolatency"}
        )
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.gop_size = gop
        for place, image in zip(places or range(len(pictures)), pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = place
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def flip_bits(path: Path, *, rate: float, seed: int, spare_bytes: int = 0) -> int:
    """Turn over each bit of an MPEG-TS file's payload with probability ``rate``; returns how many.

    Packets' headers stay, frames' times, and the first ``spare_bytes``: it is the pictures that are damaged.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    draw = np.random.default_rng(seed)
    bits = draw.integers(0, data.size * 8, draw.binomial(data.size * 8, rate))
    places = bits // 8
    begins = data[places - places % TS_PACKET_BYTES + 1] & 0x40 != 0  # a frame, with its time
    spared = np.where(begins, 48, 12)
    bits = bits[(places % TS_PACKET_BYTES >= spared) & (places >= spare_bytes)]
    np.bitwise_xor.at(data, bits // 8, (1 << (bits % 8)).astype(np.uint8))
    path.write_bytes(data.tobytes())
    return len(bits)


def lose_packets(path: Path, *, rate: float, seed: int, spare_bytes: int = 0) -> int:
    """Leave out packets of an MPEG-TS file's pictures with probability ``rate``; returns how many.

    The first ``spare_bytes`` stay, and so do the tables, without which there is no film.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, TS_PACKET_BYTES)
    pid = (data[:, 1].astype(int) & 0x1F) << 8 | data[:, 2]
    lost = (pid == TS_VIDEO_PID) & (np.random.default_rng(seed).random(len(data)) < rate)
    lost[: spare_bytes // TS_PACKET_BYTES] = False
    path.write_bytes(data[~lost].tobytes())
    return int(lost.sum())


def jpeg_of_nothing(*, width_px: int, height_px: int) -> bytes:
    """A grey JPEG of any size, 4 bytes for each 16 x 16 pixels: nobody has to hold the picture.

    ITU T.81, B.2.2 and annex K: in the standard tables a block like the one before it is 001010 in
    luminance (four of them here) and 0000 in chrominance (two).
    """
    _, encoded = cv2.imencode(".jpg", np.full((16, 16, 3), 128, np.uint8))
    header = bytearray(encoded.tobytes()[: encoded.tobytes().index(b"\xff\xda") + 14])
    at = header.index(b"\xff\xc0") + 5
    header[at : at + 4] = height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big")
    blocks = -(-width_px // 16) * -(-height_px // 16)
    return bytes(header) + b"\x28\xa2\x8a\x00" * blocks + b"\xff\xd9"


def turned(clip: Path, path: Path, *, quarter_turns: int) -> Path:
    """An MP4 file that is to be shown turned clockwise (ISO 14496-12, 8.3.2: the track's matrix)."""
    one, minus = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
    none = bytes(4)
    a, b, c, d = (
        (one, none, none, one),
        (none, one, minus, none),
        (minus, none, none, minus),
        (none, minus, one, none),
    )[quarter_turns]
    data = clip.read_bytes()
    at = data.index(b"tkhd") + 4 + 40  # behind version 0's times, layer, group and volume
    path.write_bytes(data[:at] + a + b + none + c + d + data[at + 20 :])
    return path


def write_folder(folder: Path, *, pictures: int, black: bool = False) -> Path:
    """A folder of pictures, in name order; the same ones are written again where it is there."""
    folder.mkdir(exist_ok=True)
    night = cv2.imencode(".jpg", np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))[1].tobytes()
    for index in range(pictures):
        (folder / f"{index:04d}.jpg").write_bytes(night if black else jpeg(index))
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

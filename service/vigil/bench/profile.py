"""The kinds of streams that density is measured for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of stream, as cameras send it."""

    name: str
    width_px: int
    height_px: int
    fps: float
    bits_per_s: int
    detect_fps: float


PROFILES = {
    "main": Profile("main", 1920, 1080, 25.0, 4_000_000, 5.0),
    "sub": Profile("sub", 640, 360, 15.0, 512_000, 5.0),
}

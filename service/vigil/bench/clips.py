"""The clips that density is measured with: real pictures, scaled up, at a camera's bit rate."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vigil.bench.profile import Profile
from vigil.data import U8
from vigil.scene.moving import Scene

NOISE = 2.0  # standard deviation of sensor noise: without it, scaled-up pictures cost no bits
NOISE_FRAMES = 8
SCENE_SEED = 11


def clip_path(profile: Profile, *, seconds: float, source: Path | None) -> Path:
    """Where a clip of these properties is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil"
    origin = source.stem if source else f"scene-{SCENE_SEED}"
    return cache / f"density-{profile.name}-{origin}-{seconds:g}s.mp4"


def make_clip(
    profile: Profile,
    path: Path,
    *,
    seconds: float,
    source: Path | None,
    progress: Callable[[int, int], None],
) -> None:
    """Write a clip of H.264 at the profile's size, rate and bit rate, with a GOP of two seconds.

    ``source`` is a real video, whose frames are played one by one at the profile's rate, again from the
    start at its end; without one a rendered scene is taken. Needs PyAV with an H.264 encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_stem(f"{path.stem}-{os.getpid()}")
    frames = _real_frames(source) if source else _rendered_frames(profile, seconds)
    total = round(seconds * profile.fps)
    noise = _noise(profile)
    with av.open(str(scratch), "w") as container:
        stream: Any = container.add_stream("libx264", rate=round(profile.fps))
        stream.width, stream.height = profile.width_px, profile.height_px
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = profile.bits_per_s
        stream.gop_size = round(2 * profile.fps)
        rate = str(profile.bits_per_s)
        stream.options = {"preset": "superfast", "bf": "0", "maxrate": rate, "bufsize": rate}
        for index, frame in zip(range(total), frames, strict=False):
            picture = cv2.resize(frame, (profile.width_px, profile.height_px))
            grainy = cv2.add(picture, noise[index % NOISE_FRAMES], dtype=cv2.CV_8U)
            encoded = av.VideoFrame.from_ndarray(np.asarray(grainy, np.uint8), format="bgr24")
            container.mux(stream.encode(encoded))
            progress(index + 1, total)
        container.mux(stream.encode())
    scratch.replace(path)


def _real_frames(source: Path) -> Iterator[U8]:
    while True:
        with av.open(str(source)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _rendered_frames(profile: Profile, seconds: float) -> Iterator[U8]:
    scene = Scene(SCENE_SEED, duration_s=seconds, fps=profile.fps)
    for frame in scene.frames():
        yield frame.image


def _noise(profile: Profile) -> list[Any]:
    rng = np.random.default_rng(SCENE_SEED)
    shape = (profile.height_px, profile.width_px, 3)
    return [np.round(rng.normal(0, NOISE, shape)).astype(np.int16) for _ in range(NOISE_FRAMES)]

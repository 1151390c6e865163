"""What light and camera make of a scene: day, evening lamps, grey infrared pictures; sensor noise."""

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.scene.camera import Camera
from vigil.scene.raster import Light

LOOKS = ("day", "night")


@dataclass(frozen=True, slots=True)
class Look:
    """Light, tone and noise of one camera at one hour."""

    name: str
    light: Light  # towards is in world axes
    night: bool
    infrared: bool
    gamma: float
    contrast: float
    colour: float  # saturation: 0 is grey
    cast: tuple[float, float, float]  # BGR gains
    exposure: float  # the mean grey that automatic exposure aims at, 0 to 1
    noise: float  # standard deviation, grey levels
    blur_px: float
    lamps: tuple[tuple[float, float, float], ...]  # x, y and reach of pools of light, metres


def draw_look(name: str, rng: np.random.Generator, *, indoor: bool) -> Look:
    """A look at random. Raises KeyError for a name that is not in LOOKS."""
    night = {"day": False, "night": True}[name]
    infrared = night and bool(rng.random() < 0.5)
    bearing, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2)
    overcast = bool(rng.random() < 0.4) or indoor
    towards = (float(np.cos(bearing)), float(np.sin(bearing)), float(height * 1.4))
    sun, sky, shadow, soft = (0.25, 0.72, 0.3, 0.12) if overcast else (0.72, 0.48, 0.5, 0.035)
    if night:
        sun, sky, shadow, soft = (0.3, 0.34, 0.25, 0.12)
        towards = (float(rng.normal(0, 0.3)), -0.9, 0.8) if infrared else (0.1, 0.2, 1.0)
    norm = float(np.linalg.norm(towards))
    grey = infrared or bool(rng.random() < 0.12)
    lamps = tuple(
        (float(rng.uniform(-14, 14)), float(rng.uniform(6, 32)), float(rng.uniform(5, 10)))
        for _ in range(int(rng.integers(2, 6)))
    )
    return Look(
        name=name,
        light=Light(
            (towards[0] / norm, towards[1] / norm, towards[2] / norm), sun, sky, shadow, soft
        ),
        night=night,
        infrared=infrared,
        gamma=float(rng.uniform(0.8, 1.15)),
        contrast=float(rng.uniform(0.85, 1.12)),
        colour=0.0 if grey else float(rng.uniform(0.6, 1.05)),
        cast=(1.0, 1.0, 1.0) if grey else _cast(rng, warm=night),
        exposure=float(rng.uniform(0.2, 0.34) if night else rng.uniform(0.38, 0.54)),
        noise=float(rng.uniform(2.0, 5.5) if night else rng.uniform(0.8, 3.0)),
        blur_px=float(rng.uniform(0.3, 0.8)),
        lamps=lamps,
    )


def _cast(rng: np.random.Generator, *, warm: bool) -> tuple[float, float, float]:
    b, g, r = rng.normal(1, 0.035, 3) * ((0.82, 0.97, 1.08) if warm else (1, 1, 1))
    return float(b), float(g), float(r)


def brightness(look: Look, camera: Camera) -> F32:
    """How brightly each place of the picture is lit, (H, W), about 0 to 1.3; 1 everywhere by day."""
    shape = (camera.height_px, camera.width_px)
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    away = ((u / shape[1] - 0.5) ** 2 + (v / shape[0] - 0.5) ** 2) * 2
    vignette = 1 - 0.22 * away
    if not look.night:
        return np.asarray(vignette, np.float32)
    if look.infrared:
        spot = np.exp(-((u / shape[1] - 0.5) ** 2 * 3.2 + (v / shape[0] - 0.62) ** 2 * 3.5))
        return np.asarray(vignette * (0.3 + 0.85 * spot), np.float32)
    level = np.full(shape, 0.45, np.float32)
    for x, y, reach in look.lamps:
        cx, cy = camera.pixel(x, y)
        wide = reach * camera.focal_px / camera.depth_m(y)
        flat = max(camera.height_m / np.hypot(camera.height_m, y), 0.25)
        level += np.exp(-(((u - cx) / wide) ** 2 + ((v - cy) / (wide * flat)) ** 2)) * 0.75
    return np.asarray(np.minimum(level, 1.25) * vignette, np.float32)


def tone(look: Look, image: F32) -> F32:
    """Contrast, gamma, saturation and cast of (…, 3) BGR from 0 to 1."""
    out = np.clip((image - 0.45) * look.contrast + 0.45, 0, 1) ** look.gamma
    grey = out @ np.array([0.114, 0.587, 0.299], np.float32)
    out = grey[..., None] + (out - grey[..., None]) * look.colour
    return np.asarray(np.clip(out * np.asarray(look.cast, np.float32), 0, 1), np.float32)


class Grain:
    """Sensor noise from a few pictures of noise, shifted at random for each frame."""

    def __init__(self, shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> None:
        self._shape = shape
        self._rng = rng
        size = (shape[0] + 64, shape[1] + 64)
        self._brighter: list[U8] = []
        self._darker: list[U8] = []
        for _ in range(3):
            grey = rng.normal(0, sigma, size).astype(np.float32)
            noise = np.rint(cv2.GaussianBlur(grey, (0, 0), 0.6) * 1.9).astype(np.int16)
            three = np.repeat(noise[..., None], 3, axis=2)
            self._brighter.append(np.clip(three, 0, 255).astype(np.uint8))
            self._darker.append(np.clip(-three, 0, 255).astype(np.uint8))

    def add(self, image: U8) -> None:
        """Add one frame's noise in place."""
        index = int(self._rng.integers(len(self._brighter)))
        y, x = (int(n) for n in self._rng.integers(64, size=2))
        height, width = self._shape
        part = (slice(y, y + height), slice(x, x + width))
        cv2.add(image, self._brighter[index][part], dst=image)
        cv2.subtract(image, self._darker[index][part], dst=image)

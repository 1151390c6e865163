"""Training pictures as the net sees them: scaled, cropped, flipped, tiled, and made worse.

A canvas is drawn by one affine warp a picture, straight from the decoded cache. Fixed cameras show
small people, night, compression and grey: so does this. Everything is a function of the generator that
is given, so the same seed draws the same canvas.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vigil.data import F32, U8
from vigil.training.labels import Picture
from vigil.vision.letterbox import PAD_VALUE

_LEAST_VISIBLE = 0.35  # of an object's area; less of it is an ignore region
_LEAST_SIDE_PX = 3.0


@dataclass(frozen=True, slots=True)
class AugmentPolicy:
    """How canvases are drawn. Scales are of the picture against its letterboxed size at test."""

    test_hw: tuple[int, int] = (320, 512)  # the shape that the net is for
    scale_low: float = 0.4
    scale_high: float = 1.4
    fit_chance: float = 0.3  # the whole picture in the canvas, whatever its scale
    mosaic_chance: float = 0.4
    aspect_jitter: float = 0.1
    colour_chance: float = 0.6
    grey_chance: float = 0.12
    blur_chance: float = 0.08
    noise_chance: float = 0.06
    jpeg_chance: float = 0.06


@dataclass(frozen=True, slots=True)
class Targets:
    """What is known of one canvas, in its pixels; as in `labels.Picture`."""

    xyxy: F32  # (N, 4)
    class_id: NDArray[np.int64]  # (N,)
    weight: F32  # (N,)
    ignore_xyxy: F32  # (M, 4)
    ignore_class: NDArray[np.int64]  # (M,)


class Pixels(Protocol):
    """Gives a picture (H, W, 3) by its index, as it is or at half its size."""

    def __call__(self, index: int, *, half: bool) -> U8: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Tile:
    """Where in the canvas a picture goes, pixels: x1, y1, x2, y2."""

    x1: int
    y1: int
    x2: int
    y2: int


def draw_canvas(
    out: U8,
    chosen: tuple[int, ...],
    *,
    pictures: list[Picture],
    pixels: Pixels,
    policy: AugmentPolicy,
    rng: Generator,
) -> Targets:
    """Draw one picture, or a mosaic of four, into ``out`` (H, W, 3), and give what is in it.

    ``chosen`` is the indices of one or four pictures.
    """
    height, width = out.shape[:2]
    tiles = _tiles(len(chosen), height, width, rng)
    parts = []
    for index, tile in zip(chosen, tiles, strict=True):
        view = functools.partial(pixels, index)
        parts.append(_draw_tile(out, tile, pictures[index], view, policy=policy, rng=rng))
    _degrade(out, policy, rng)
    return Targets(
        xyxy=np.concatenate([part.xyxy for part in parts]),
        class_id=np.concatenate([part.class_id for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        ignore_xyxy=np.concatenate([part.ignore_xyxy for part in parts]),
        ignore_class=np.concatenate([part.ignore_class for part in parts]),
    )


def _tiles(count: int, height: int, width: int, rng: Generator) -> list[_Tile]:
    if count == 1:
        return [_Tile(0, 0, width, height)]
    x = int(width * rng.uniform(0.3, 0.7))
    y = int(height * rng.uniform(0.3, 0.7))
    return [
        _Tile(0, 0, x, y),
        _Tile(x, 0, width, y),
        _Tile(0, y, x, height),
        _Tile(x, y, width, height),
    ]


def _draw_tile(
    out: U8,
    tile: _Tile,
    picture: Picture,
    view: Callable[..., U8],
    *,
    policy: AugmentPolicy,
    rng: Generator,
) -> Targets:
    height, width = picture.height_px, picture.width_px
    scale_x, scale_y = _scales(tile, (height, width), policy, rng)
    flipped = rng.random() < 0.5
    # The picture's scaled extent against the tile: any shift that wastes no tile, none if it fits.
    shift_x = _shift(tile.x2 - tile.x1, width * scale_x, rng)
    shift_y = _shift(tile.y2 - tile.y1, height * scale_y, rng)
    a = -scale_x if flipped else scale_x
    left = shift_x + width * scale_x if flipped else shift_x
    half = max(scale_x, scale_y) < 0.6
    image, halved = view(half=half), 2.0 if half else 1.0
    # Pixel centres: destination + 0.5 = a (source + 0.5) + left.
    ax, ay = a * halved, scale_y * halved
    matrix = np.array(
        [[ax, 0.0, left + 0.5 * ax - 0.5], [0.0, ay, shift_y + 0.5 * ay - 0.5]], np.float64
    )
    target = out[tile.y1 : tile.y2, tile.x1 : tile.x2]
    target[:] = cv2.warpAffine(
        image,
        matrix,
        (tile.x2 - tile.x1, tile.y2 - tile.y1),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PAD_VALUE, PAD_VALUE, PAD_VALUE),
    )
    gain = np.array([a * width, scale_y * height], np.float32)
    offset = np.array([left + tile.x1, shift_y + tile.y1], np.float32)
    return _targets(picture, tile, gain, offset)


def _scales(
    tile: _Tile, picture_hw: tuple[int, int], policy: AugmentPolicy, rng: Generator
) -> tuple[float, float]:
    height, width = picture_hw
    fit = min((tile.y2 - tile.y1) / height, (tile.x2 - tile.x1) / width)
    if rng.random() < policy.fit_chance:
        scale = fit * rng.uniform(0.85, 1.05)
    else:
        test = min(policy.test_hw[0] / height, policy.test_hw[1] / width)
        low, high = policy.scale_low * test, policy.scale_high * test
        scale = float(np.exp(rng.uniform(np.log(min(low, fit)), np.log(high))))
    stretch = float(np.exp(rng.uniform(-policy.aspect_jitter, policy.aspect_jitter)))
    return scale * stretch, scale / stretch


def _shift(room: int, extent: float, rng: Generator) -> float:
    slack = room - extent
    return float(rng.uniform(min(slack, 0.0), max(slack, 0.0)))


def _targets(picture: Picture, tile: _Tile, gain: F32, offset: F32) -> Targets:
    low = np.array([tile.x1, tile.y1], np.float32)
    high = np.array([tile.x2, tile.y2], np.float32)
    full, seen = _place(picture.boxes, gain, offset, low, high)
    side = seen[:, 2:] - seen[:, :2]
    whole = np.maximum((full[:, 2:] - full[:, :2]).prod(axis=1), 1e-6)
    visible = side.clip(min=0).prod(axis=1) / whole
    good = (visible >= _LEAST_VISIBLE) & (side.min(axis=1, initial=np.inf) >= _LEAST_SIDE_PX)
    faint = ~good & (side > 0.5).all(axis=1)
    _, ignored = _place(picture.ignore_boxes, gain, offset, low, high)
    there = (ignored[:, 2:] - ignored[:, :2] > 0.5).all(axis=1)
    faint_boxes, faint_class = _spread(seen[faint], picture.class_id[faint])
    return Targets(
        xyxy=seen[good],
        class_id=picture.class_id[good],
        weight=picture.weight[good],
        ignore_xyxy=np.concatenate([ignored[there], faint_boxes]),
        ignore_class=np.concatenate([picture.ignore_class[there], faint_class]),
    )


def _spread(boxes: F32, class_id: NDArray[np.int64]) -> tuple[F32, NDArray[np.int64]]:
    """Ignore regions of objects; one of unknown type is ignored as each vehicle type."""
    unknown = class_id == 6
    if not unknown.any():
        return boxes, class_id
    types = np.array([2, 4, 5], np.int64)
    known = ~unknown
    return (
        np.concatenate([boxes[known], np.repeat(boxes[unknown], 3, axis=0)]),
        np.concatenate([class_id[known], np.tile(types, int(unknown.sum()))]),
    )


def _place(boxes: F32, gain: F32, offset: F32, low: F32, high: F32) -> tuple[F32, F32]:
    """Normalised boxes (N, 4) to canvas pixels: whole, and clipped to the tile."""
    corners = boxes.reshape(-1, 2, 2) * gain + offset
    first, last = corners.min(axis=1), corners.max(axis=1)
    full = np.concatenate([first, last], axis=1).astype(np.float32)
    seen = np.concatenate([np.clip(first, low, high), np.clip(last, low, high)], axis=1)
    return full, seen.astype(np.float32)


def _degrade(out: U8, policy: AugmentPolicy, rng: Generator) -> None:
    """Light, colour, focus, noise and compression as cameras have them, in place."""
    chances = rng.random(5)
    if chances[0] < policy.grey_chance:
        grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
        cv2.merge((grey, grey, grey), dst=out)
    if chances[1] < policy.colour_chance:
        cv2.LUT(out, _light(rng), dst=out)
    if chances[2] < policy.blur_chance:
        size = int(rng.integers(2, 5))
        cv2.blur(out, (size, size), dst=out)
    if chances[3] < policy.noise_chance:
        noise = rng.integers(-12, 13, out.shape[:2], dtype=np.int16)[..., None]
        np.copyto(out, np.clip(out.astype(np.int16) + noise, 0, 255), casting="unsafe")
    if chances[4] < policy.jpeg_chance:
        quality = int(rng.integers(20, 70))
        _, encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded: U8 = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
        out[:] = decoded


def _light(rng: Generator) -> U8:
    """A look-up table (1, 256, 3): brightness, contrast, gamma, and a cast of colour."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255.0
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    contrast = np.exp(rng.uniform(-0.35, 0.3))
    cast = np.exp(rng.uniform(-0.12, 0.12, 3))
    bright = rng.uniform(-0.15, 0.12)
    curve = ((level**gamma - 0.5) * contrast + 0.5 + bright) * cast
    table: U8 = np.clip(curve * 255.0, 0.0, 255.0).astype(np.uint8)[None]
    return table

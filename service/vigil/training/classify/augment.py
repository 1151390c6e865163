"""What a picture may look like instead: moved, mirrored, in another light, partly hidden, farther."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.training.classify.recipe import Augmentation
from vigil.vision.crop import square
from vigil.vision.letterbox import PAD_VALUE

_GREY = PAD_VALUE


def augmented(
    image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Another version of a picture (S, S, 3) uint8 BGR, of the same shape."""
    out = image
    if how.partial_chance and rng.random() < how.partial_chance:
        out = _part(image, rng)
    if how.zoom or how.stretch:
        out = _zoomed(out, how, rng)
    out = _shifted(out, round(how.shift * image.shape[0]), rng)
    if rng.random() < how.flip_chance:
        out = out[:, ::-1]
    if rng.random() < how.colour_chance:
        out = _coloured(out, how.colour, rng)
    if how.grey_chance and rng.random() < how.grey_chance:
        out = np.repeat(out.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    if how.degrade_chance and rng.random() < how.degrade_chance:
        out = _degraded(out, rng)
    if rng.random() < how.erase_chance:
        out = _erased(out, rng)
    return np.ascontiguousarray(out)


def _part(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """40 to 90 % of what is between grey bands, from any of its four sides, as large as fits."""
    rows = np.flatnonzero((image != _GREY).any(axis=(1, 2)))
    columns = np.flatnonzero((image != _GREY).any(axis=(0, 2)))
    if not len(rows):
        return image
    inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    axis = int(rng.integers(2))
    kept = max(1, round(inside.shape[axis] * rng.uniform(0.4, 0.9)))
    start = int(rng.integers(2)) * (inside.shape[axis] - kept)
    return square(
        inside[start : start + kept] if axis == 0 else inside[:, start : start + kept],
        side_px=image.shape[0],
    )


def _zoomed(
    image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Larger or smaller about its middle, of another aspect; grey where it ends."""
    side = image.shape[0]
    zoom = np.exp(rng.uniform(-1, 1) * np.log1p(how.zoom))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log1p(how.stretch))
    middle = (side - 1) / 2
    x_scale, y_scale = zoom * stretch, zoom / stretch
    matrix = np.array(
        [[x_scale, 0, middle * (1 - x_scale)], [0, y_scale, middle * (1 - y_scale)]], np.float64
    )
    out: NDArray[np.uint8] = cv2.warpAffine(  # type: ignore[assignment]
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(_GREY,) * 3
    )
    return out


def _shifted(image: NDArray[np.uint8], most_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop of the picture with a grey border (arXiv:1512.03385, section 4.2)."""
    if most_px == 0:
        return image
    side = image.shape[0]
    wide = np.full((side + 2 * most_px, side + 2 * most_px, 3), _GREY, np.uint8)
    wide[most_px : most_px + side, most_px : most_px + side] = image
    top, left = rng.integers(0, 2 * most_px + 1, 2)
    return wide[top : top + side, left : left + side]


def _coloured(
    image: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Brightness, contrast and the balance of the three channels."""
    contrast, brightness = 1.0 + rng.uniform(-strength, strength, 2)
    balance = 1.0 + rng.uniform(-strength, strength, 3) / 3
    values = image.astype(np.float32)
    mean = values.mean()
    values = ((values - mean) * contrast + mean * brightness) * balance
    out: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return out


def _degraded(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As if it had had a half to a sixth of its pixels a side."""
    side = image.shape[0]
    small = max(4, round(side / rng.uniform(2.0, 6.0)))
    few = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    out: NDArray[np.uint8] = cv2.resize(few, (side, side), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return out


def _erased(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise over 2 to 25 % of the picture (random erasing, arXiv:1708.04896)."""
    side = image.shape[0]
    area, aspect = rng.uniform(0.02, 0.25) * side * side, np.exp(rng.uniform(-1.1, 1.1))
    height = int(min(side, max(1, round(np.sqrt(area * aspect)))))
    width = int(min(side, max(1, round(np.sqrt(area / aspect)))))
    top = rng.integers(0, side - height + 1)
    left = rng.integers(0, side - width + 1)
    out = image.copy()
    out[top : top + height, left : left + width] = rng.integers(
        0, 256, (height, width, 3), np.uint8
    )
    return out

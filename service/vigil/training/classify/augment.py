"""What a picture may look like instead: shifted, mirrored, in another light, partly hidden."""

import numpy as np
from numpy.typing import NDArray

from vigil.training.classify.recipe import Augmentation

_GREY = 114


def augmented(
    image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Another version of a picture (S, S, 3) uint8 BGR, of the same shape."""
    out = _shifted(image, round(how.shift * image.shape[0]), rng)
    if rng.random() < how.flip_chance:
        out = out[:, ::-1]
    if rng.random() < how.colour_chance:
        out = _coloured(out, how.colour, rng)
    if rng.random() < how.erase_chance:
        out = _erased(out, rng)
    return np.ascontiguousarray(out)


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

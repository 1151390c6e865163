"""What can happen to a camera's pictures: each fault takes an (H, W, 3) picture and returns another."""

from collections.abc import Callable

import cv2
import numpy as np

from vigil.data import U8

Fault = Callable[[U8], U8]


def black(picture: U8) -> U8:
    """The lamps are out, and the sensor's noise is left."""
    return np.asarray(np.abs(grain(picture.shape, 2.0)).astype(np.uint8))


def painted(picture: U8) -> U8:
    """Spray paint on the glass."""
    return np.asarray(np.clip(120 + grain(picture.shape, 2.0), 0, 255).astype(np.uint8))


def hand(picture: U8) -> U8:
    """A hand close to the lens: all but a strip is soft and of one tone."""
    held = picture.copy()
    height, width = held.shape[:2]
    cv2.ellipse(
        held, (width // 2, height // 3), (width, int(height * 0.6)), 0, 0, 360, (60, 80, 130), -1
    )
    return np.asarray(cv2.GaussianBlur(held, (0, 0), width / 40), np.uint8)


def defocused(picture: U8) -> U8:
    """Focus lost: a blur of a hundredth of the width, and the sensor's noise on top."""
    soft = cv2.GaussianBlur(picture, (0, 0), picture.shape[1] / 100)
    return np.asarray(np.clip(soft + grain(picture.shape, 1.0), 0, 255).astype(np.uint8))


def turned(picture: U8) -> U8:
    """The camera looks a tenth of its view further right."""
    return np.asarray(np.roll(picture, -picture.shape[1] // 10, axis=1))


def tilted(picture: U8) -> U8:
    """Its mount has slipped by 8 degrees."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 8.0, 1.1)
    return np.asarray(
        cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def grain(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Sensor noise, another at each call."""
    return _rng.normal(0.0, sigma, shape)


_rng = np.random.default_rng(5)

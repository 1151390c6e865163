"""A heat map on a picture: cold parts stay as they are."""

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.draw.ink import WHITE, pen_for, plate

_MOST_OPACITY = 0.65
Box = tuple[float, float, float, float]


def draw_heat(picture: U8, heat: F32, *, place: tuple[int, int, int, int] | None = None) -> U8:
    """A copy of a picture (H, W, 3) uint8 BGR under a heat map (h, w) of 0 to 1.

    ``place`` is where the map lies, x1, y1, x2, y2 in the picture's pixels; the whole picture if not given.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = place or (0, 0, width, height)
    drawn = picture.copy()
    if x2 <= x1 or y2 <= y1:
        return drawn
    size = (x2 - x1, y2 - y1)
    smooth = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    opacity = (np.sqrt(smooth) * _MOST_OPACITY)[:, :, None]
    part = drawn[y1:y2, x1:x2]
    part[:] = (part * (1.0 - opacity) + colours * opacity).astype(np.uint8)
    return drawn


def caption(picture: U8, text: str, xyxy: Box | None) -> None:
    """Draw a box (normalised), if there is one, and what is said of it, onto a picture."""
    height, width = picture.shape[:2]
    pen = pen_for(height, width)
    x1, y1, x2, y2 = xyxy or (0.0, 0.0, 1.0, 1.0)
    corner = (round(x1 * (width - 1)), round(y1 * (height - 1)))
    if xyxy is not None:
        end = (round(x2 * (width - 1)), round(y2 * (height - 1)))
        cv2.rectangle(picture, corner, end, WHITE, pen.line)
    plate(picture, text, corner, back=WHITE, pen=pen)

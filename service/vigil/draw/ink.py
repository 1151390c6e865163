"""Sizes, colours and text that stay legible from 360 to 2160 picture rows.

Text is OpenCV's built-in TrueType font: Hershey strokes are hard to read below 14 px.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from vigil.data import U8

Bgr = tuple[int, int, int]
WHITE: Bgr = (255, 255, 255)
BLACK: Bgr = (16, 16, 16)
# Hues far apart in sequence, all bright enough for black text (Glasbey-like order, chosen by eye).
TRACK_COLOURS: tuple[Bgr, ...] = (
    (80, 200, 255),
    (120, 230, 120),
    (255, 190, 90),
    (200, 140, 255),
    (110, 130, 255),
    (230, 230, 100),
    (120, 255, 220),
    (255, 150, 190),
    (90, 170, 230),
    (190, 255, 150),
    (255, 220, 170),
    (170, 200, 120),
)
CLASS_COLOURS: dict[str, Bgr] = {
    "person": (90, 220, 130),
    "bicycle": (230, 220, 90),
    "car": (80, 190, 255),
    "motorcycle": (220, 150, 255),
    "bus": (110, 120, 255),
    "truck": (255, 180, 90),
}
ZONE_COLOURS: tuple[Bgr, ...] = ((255, 170, 60), (90, 200, 90), (200, 110, 230), (80, 170, 240))
LINE_COLOUR: Bgr = (70, 90, 255)


@dataclass(frozen=True, slots=True)
class Pen:
    """Widths and text size for one picture size, in pixels."""

    line: int
    text: int
    pad: int


@cache
def pen_for(height_px: int, width_px: int) -> Pen:
    """What suits a picture of this size: 11 px text at 360 rows, 24 px at 1080."""
    rows = min(height_px, width_px * 0.75)
    text = int(np.clip(round(rows / 45 + 3), 9, 48))
    return Pen(line=max(2, round(rows / 320)), text=text, pad=max(2, text // 4))


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def track_colour(track_id: int) -> Bgr:
    """A track's colour: neighbours in number differ in hue."""
    return TRACK_COLOURS[track_id % len(TRACK_COLOURS)]


def text_size(text: str, size_px: int) -> tuple[int, int]:
    """Width and height of a line of text; the height is the same for every text of a size."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px, weight=600)
    return int(width), round(size_px * 1.25)


def write(image: U8, text: str, at_px: tuple[int, int], *, colour: Bgr, size_px: int) -> None:
    """Write a line of text in place; ``at_px`` is its top left corner."""
    baseline = (at_px[0], at_px[1] + round(size_px * 0.98))
    cv2.putText(image, text, baseline, colour, _font(), size_px, weight=600)


def plate(
    image: U8,
    text: str,
    at_px: tuple[int, int],
    *,
    back: Bgr,
    pen: Pen,
    opacity: float = 0.85,
) -> tuple[int, int, int, int]:
    """Text on a plate, in place; ``at_px`` is the plate's lower left corner, moved into the picture.

    Returns the plate's rectangle (x0, y0, x1, y1).
    """
    width, height = text_size(text, pen.text)
    width, height = width + 2 * pen.pad, height + pen.pad
    x0 = int(np.clip(at_px[0], 0, max(image.shape[1] - width, 0)))
    y0 = int(np.clip(at_px[1] - height, 0, max(image.shape[0] - height, 0)))
    x1, y1 = min(x0 + width, image.shape[1]), min(y0 + height, image.shape[0])
    part = image[y0:y1, x0:x1]
    before = part.copy()
    part[:] = back
    dark = back[0] * 0.11 + back[1] * 0.59 + back[2] * 0.3 < 110
    colour = WHITE if dark else BLACK
    write(image, text, (x0 + pen.pad, y0 + pen.pad // 2), colour=colour, size_px=pen.text)
    if opacity < 1.0:
        cv2.addWeighted(part, opacity, before, 1.0 - opacity, 0.0, dst=part)
    return x0, y0, x1, y1

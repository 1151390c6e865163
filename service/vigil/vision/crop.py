"""How an object becomes a classifier's input: cut out with a little of what is around it, on a grey square.

Numpy and OpenCV only: stream hosts cut the crops of tracks, and training cuts its pictures the same way.
"""

import cv2
import numpy as np

from vigil.data import U8
from vigil.vision.letterbox import PAD_VALUE

MARGIN = 0.1  # of the box's longer side, on every side: a tracker's box is seldom exact

Box = tuple[float, float, float, float]


def cut(picture: U8, xyxy: Box, *, margin: float = MARGIN) -> U8:
    """The part of a picture (H, W, 3) within a normalised box and its margin, as a view.

    At least a pixel is left of a box that lies at the picture's edge.
    """
    left, top, right, bottom = place_of(picture, xyxy, margin=margin)
    return picture[top:bottom, left:right]


def place_of(picture: U8, xyxy: Box, *, margin: float = MARGIN) -> tuple[int, int, int, int]:
    """Where `cut` cuts: x1, y1, x2, y2 in the picture's pixels."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = xyxy[0] * width, xyxy[1] * height, xyxy[2] * width, xyxy[3] * height
    around = margin * max(x2 - x1, y2 - y1)
    left, top = _within(x1 - around, width - 1), _within(y1 - around, height - 1)
    right, bottom = _within(x2 + around + 0.5, width), _within(y2 + around + 0.5, height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def draw_square(image: U8, out: U8) -> tuple[int, int, int, int]:
    """Write an image (H, W, 3) into the middle of the square ``out`` (S, S, 3), its aspect kept.

    Every byte of ``out`` is written; it may be shared memory. Returns where the image lies in it: x1, y1,
    x2, y2.
    """
    side = out.shape[0]
    height, width = image.shape[:2]
    scale = side / max(height, width)
    new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    top, left = (side - new_h) // 2, (side - new_w) // 2
    out[:] = PAD_VALUE
    out[top : top + new_h, left : left + new_w] = cv2.resize(
        image, (new_w, new_h), interpolation=how
    )
    return left, top, left + new_w, top + new_h


def square(image: U8, *, side_px: int) -> U8:
    """A picture (H, W, 3) in the middle of a new grey square (side_px, side_px, 3), its aspect kept."""
    out = np.empty((side_px, side_px, 3), np.uint8)
    draw_square(image, out)
    return out


def _within(value: float, most: int) -> int:
    return int(min(max(value, 0.0), most))

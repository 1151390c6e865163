"""What a net is shown of a picture, and where that lies: to bring what it says back onto the picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.vision.crop import Box, draw_square, place_of
from vigil.vision.letterbox import Letterbox

Place = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """``pixels`` is the net's input; both places are x1, y1, x2, y2 in pixels."""

    pixels: U8  # (H, W, 3) uint8 BGR
    inner: Place  # where the input shows the picture, without grey
    place: Place  # which part of the picture that is

    @classmethod
    def of_picture(cls, picture: U8, letterbox: Letterbox) -> "View":
        """The whole picture (H, W, 3), as a detector sees it."""
        pixels = np.empty((*letterbox.input_hw, 3), np.uint8)
        letterbox.draw(picture, pixels)
        (height, width), top, left = letterbox.scaled_hw, letterbox.top, letterbox.left
        inner = (left, top, left + width, top + height)
        return cls(pixels, inner, (0, 0, picture.shape[1], picture.shape[0]))

    @classmethod
    def of_object(cls, picture: U8, box: Box | None, *, side_px: int) -> "View":
        """The crop of a normalised box (the whole picture without one), as a classifier sees it."""
        x1, y1, x2, y2 = place = place_of(picture, box) if box is not None else _whole(picture)
        pixels = np.empty((side_px, side_px, 3), np.uint8)
        return cls(pixels, draw_square(picture[y1:y2, x1:x2], pixels), place)

    def onto_place(self, heat: F32) -> F32:
        """A map over the net's input, (h, w) of any fineness, as one over `place`."""
        height, width = self.pixels.shape[:2]
        whole = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
        x1, y1, x2, y2 = self.inner
        part: F32 = np.asarray(whole[y1:y2, x1:x2], np.float32)
        return part


def _whole(picture: U8) -> Place:
    return 0, 0, picture.shape[1], picture.shape[0]

"""Pictures that need not be as large as they were decoded."""

import cv2
import numpy as np

from vigil.data import U8


def at_most(picture: U8, width_px: int) -> U8:
    """The picture, made narrower where it is wider than ``width_px``; 0: as it is."""
    height, width = picture.shape[:2]
    if not 0 < width_px < width:
        return picture
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

"""What a picture looks like by itself, small enough to be taken of every analysed frame.

Camera health and the rules about things are judged by it, in `vigil.rules`. NumPy and OpenCV only.
"""

import cv2
import numpy as np

from vigil.data import GRID_HW, U8, Glance
from vigil.vision.letterbox import Letterbox


class Glancer:
    """Takes the glances of one run, in order; called by one thread."""

    def __init__(self) -> None:
        self._before: U8 | None = None  # the last picture in grey

    def glance(self, drawn: U8, letterbox: Letterbox, *, seq: int) -> Glance:
        """Of a picture that was drawn into a net's input, (input_h, input_w, 3) BGR.

        ``seq`` is the frame's index in the run.
        """
        (height, width), top, left = letterbox.scaled_hw, letterbox.top, letterbox.left
        inner = drawn[top : top + height, left : left + width]
        grey = np.asarray(cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY), np.uint8)
        across, down = cv2.spatialGradient(grey)
        slope = cv2.addWeighted(cv2.convertScaleAbs(across), 0.5, cv2.convertScaleAbs(down), 0.5, 0)
        change = 255.0
        if self._before is not None and self._before.shape == grey.shape:
            change = float(_cells(np.asarray(cv2.absdiff(grey, self._before), np.uint8)).max())
        self._before = grey
        return Glance(
            seq=seq, colour=_cells(inner), edges=_cells(np.asarray(slope, np.uint8)), change=change
        )


def _cells(picture: U8) -> U8:
    """Means over the cells of the grid."""
    rows, columns = GRID_HW
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)

"""How a picture becomes a net's input: resized whole, its aspect kept, the rest grey.

Numpy and OpenCV only: stream hosts use it, and evaluation and training see pictures the same way.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from vigil.data import F32, U8

PAD_VALUE = 114  # grey; the nets subtract it, so that padding is zero to them


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The place of a resized picture within a net's input; the picture is centred.

    All in pixels: ``source_hw`` of the camera's picture, ``input_hw`` of the net's input, ``scaled_hw``
    of the picture within the input, ``top`` and ``left`` the padding before it.
    """

    source_hw: tuple[int, int]
    input_hw: tuple[int, int]
    scaled_hw: tuple[int, int]
    top: int
    left: int
    # of x, y, x, y: where the picture begins, and its size
    _offset: F32 = field(init=False, repr=False, compare=False)
    _size: F32 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        height, width = self.scaled_hw
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        object.__setattr__(self, "_offset", offset)
        object.__setattr__(self, "_size", np.array([width, height, width, height], np.float32))

    @classmethod
    @lru_cache(maxsize=64)  # one a frame, of few sizes
    def fit(
        cls, source_hw: tuple[int, int], input_hw: tuple[int, int], *, stretch: bool = False
    ) -> "Letterbox":
        """The largest place that a picture of ``source_hw`` can take, its aspect kept.

        With ``stretch`` it fills the input, as some imported nets were taught. Raises ValueError on no
        area.
        """
        (height, width), (input_height, input_width) = source_hw, input_hw
        if min(height, width, input_height, input_width) <= 0:
            raise ValueError(f"no area: source {source_hw}, input {input_hw}")
        scale = min(input_height / height, input_width / width)
        scaled_height = min(input_height, max(1, round(height * scale)))
        scaled_width = min(input_width, max(1, round(width * scale)))
        if stretch:
            scaled_height, scaled_width = input_height, input_width
        return cls(
            source_hw=(height, width),
            input_hw=(input_height, input_width),
            scaled_hw=(scaled_height, scaled_width),
            top=(input_height - scaled_height) // 2,
            left=(input_width - scaled_width) // 2,
        )

    def draw(self, image_bgr: U8, out: U8) -> None:
        """Write the picture into ``out`` in one pass.

        image_bgr is (H, W, 3) uint8 of source_hw; out is (input_h, input_w, 3) uint8, every byte of it
        is written; it may be shared memory, and the resize writes straight into it. Raises ValueError
        where a shape disagrees.
        """
        if image_bgr.shape != (*self.source_hw, 3) or out.shape != (*self.input_hw, 3):
            raise ValueError(
                f"image {image_bgr.shape} and out {out.shape} for letterbox "
                f"{self.source_hw} to {self.input_hw}"
            )
        (height, width), top, left = self.scaled_hw, self.top, self.left
        inner = out[top : top + height, left : left + width]
        if self.scaled_hw == self.source_hw:
            inner[:] = image_bgr
        else:
            drawn = cv2.resize(
                image_bgr, (width, height), dst=inner, interpolation=self._interpolation()
            )
            if drawn is not inner:  # OpenCV made its own array after all
                inner[:] = drawn
        if height < self.input_hw[0]:
            out[:top] = PAD_VALUE
            out[top + height :] = PAD_VALUE
        if width < self.input_hw[1]:
            out[top : top + height, :left] = PAD_VALUE
            out[top : top + height, left + width :] = PAD_VALUE

    def to_source_normalised(self, xyxy_input_px: F32) -> F32:
        """Boxes (N, 4) in input pixels to [0, 1] of the source picture, clipped to it."""
        normalised: F32 = (xyxy_input_px - self._offset) / self._size
        np.maximum(normalised, 0.0, out=normalised)  # both in a third of np.clip's time
        np.minimum(normalised, 1.0, out=normalised)
        return normalised

    def to_input_px(self, xyxy_normalised: F32) -> F32:
        """Boxes (N, 4) in [0, 1] of the source picture to input pixels."""
        xyxy_px: F32 = xyxy_normalised * self._size + self._offset
        return xyxy_px

    def _interpolation(self) -> int:
        return int(cv2.INTER_LINEAR)

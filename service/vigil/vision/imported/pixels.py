"""How exporters want their pixels: order of channels, scale and mean."""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32, U8


@dataclass(frozen=True, slots=True)
class Pixels:
    """(pixel − mean) · scale, by channel, after the order is set."""

    rgb: bool
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def of(self, batch_bgr: U8) -> F32:
        """(B, H, W, 3) uint8 BGR to (B, 3, H, W) float32."""
        ordered = batch_bgr[..., ::-1] if self.rgb else batch_bgr
        values = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), np.float32)
        if any(self.mean):
            values -= np.array(self.mean, np.float32)[:, None, None]
        if self.scale != (1.0, 1.0, 1.0):
            values *= np.array(self.scale, np.float32)[:, None, None]
        return values


_UNIT = (1 / 255, 1 / 255, 1 / 255)
PIXELS = {
    "bgr255": Pixels(rgb=False),
    "rgb255": Pixels(rgb=True),
    "bgr1": Pixels(rgb=False, scale=_UNIT),
    "rgb1": Pixels(rgb=True, scale=_UNIT),
    "imagenet": Pixels(
        rgb=True,
        mean=(123.675, 116.28, 103.53),
        scale=(1 / 58.395, 1 / 57.12, 1 / 57.375),
    ),
}

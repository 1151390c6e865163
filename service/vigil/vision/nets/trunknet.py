"""TrunkNet: the detector's own backbone under a classifier's head.

It may begin with the detector's weights (`vigil train classifier --arch trunknet --from
models/vigil-det-n/weights.safetensors`), which have seen a hundred times more vehicles than anyone has crops.
"""

from torch import Tensor, nn

from vigil.vision.nets.blocks import Bottleneck, ConvNorm, PyramidPool
from vigil.vision.nets.detector_net import ARCHITECTURES

_TRUNK = ARCHITECTURES["vigil-det-n"]


class TrunkNet(nn.Module):
    """For inputs of 32 px and more. 0.7 M weights; names as in `DetectorNet`, so that its weights fit."""

    def __init__(self, *, classes: int, input_px: int = 96, dropout: float = 0.1) -> None:
        super().__init__()
        widths, blocks = _TRUNK.channels, _TRUNK.blocks
        self.stem = ConvNorm(3, widths[0], kernel=6, stride=4)  # (B, 32, 24, 24) of 96
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    *([ConvNorm(widths[i - 1], widths[i], stride=2)] if i else []),
                    *(Bottleneck(widths[i]) for _ in range(blocks[i])),
                )
                for i in range(4)
            )
        )  # (B, 160, 3, 3)
        self.context = PyramidPool(widths[3])
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(widths[3], classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.context(self.stages(self.stem(x))))
        return y

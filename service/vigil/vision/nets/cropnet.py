"""CropNet: our small net for crops of tracks, of the detector's own parts.

Dense 3×3 convolutions and halving 1×1s (`blocks.Bottleneck`), batch norm that folds away, ReLU. A crop is
small and seen once a second a track: 64 px say what a vehicle is.
"""

from torch import Tensor, nn

from vigil.vision.nets.blocks import Bottleneck, ConvNorm

_WIDTHS = (32, 64, 128, 192)
_BLOCKS = (1, 1, 2, 1)


class CropNet(nn.Module):
    """Inputs under 48 px get a stem of stride 1. 0.7 M weights."""

    def __init__(self, *, classes: int, input_px: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        stride = 1 if input_px < 48 else 2
        stages: list[nn.Module] = []
        for i, (width, blocks) in enumerate(zip(_WIDTHS, _BLOCKS, strict=True)):
            first = ConvNorm(_WIDTHS[i - 1], width, stride=2) if i else _stem(width, stride)
            stages.append(nn.Sequential(first, *(Bottleneck(width) for _ in range(blocks))))
        self.stages = nn.Sequential(*stages)  # (B, 192, 4, 4) of 64 and of 32
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(192, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.stages(x))
        return y


def _stem(width: int, stride: int) -> ConvNorm:
    return ConvNorm(3, width, kernel=3, stride=stride)

"""GoogLeNet (Szegedy and others: Going deeper with convolutions, arXiv:1409.4842).

Nine inception modules; each joins 1×1, 3×3 and 5×5 convolutions and a pool along the channels, with 1×1
convolutions before the costly ones. Two auxiliary heads feed gradients into the middle while it trains.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vigil.vision.nets.response_norm import ResponseNorm


class Widths(NamedTuple):
    """Channels of an inception module: a row of the paper's table 1."""

    ones: int
    reduce_threes: int
    threes: int
    reduce_fives: int
    fives: int
    pooled: int

    @property
    def total(self) -> int:
        """Channels of the module's output."""
        return self.ones + self.threes + self.fives + self.pooled


_THREE = (Widths(64, 96, 128, 16, 32, 32), Widths(128, 128, 192, 32, 96, 64))
_FOUR = (
    Widths(192, 96, 208, 16, 48, 64),
    Widths(160, 112, 224, 24, 64, 64),
    Widths(128, 128, 256, 24, 64, 64),
    Widths(112, 144, 288, 32, 64, 64),
    Widths(256, 160, 320, 32, 128, 128),
)
_FIVE = (Widths(256, 160, 320, 32, 128, 128), Widths(384, 192, 384, 48, 128, 128))


class Conv(nn.Sequential):
    """Convolution and ReLU, with batch norm between where asked (it came a year after the paper)."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, norm: bool
    ) -> None:
        conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=not norm
        )
        norms = [nn.BatchNorm2d(channels_out)] if norm else []
        super().__init__(conv, *norms, nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four views of the same maps, side by side."""

    def __init__(self, channels_in: int, widths: Widths, *, norm: bool) -> None:
        super().__init__()
        self.ones = Conv(channels_in, widths.ones, 1, norm=norm)
        self.threes = nn.Sequential(
            Conv(channels_in, widths.reduce_threes, 1, norm=norm),
            Conv(widths.reduce_threes, widths.threes, 3, norm=norm),
        )
        self.fives = nn.Sequential(
            Conv(channels_in, widths.reduce_fives, 1, norm=norm),
            Conv(widths.reduce_fives, widths.fives, 5, norm=norm),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), Conv(channels_in, widths.pooled, 1, norm=norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, widths.total, H, W)."""
        return torch.cat([self.ones(x), self.threes(x), self.fives(x), self.pooled(x)], dim=1)


class GoogLeNet(nn.Module):
    """Inputs under 96 px get a stem of 3×3s and one pool, batch norm, and auxiliary heads of 2×2 cells."""

    def __init__(self, *, classes: int, input_px: int = 224, dropout: float = 0.4) -> None:
        super().__init__()
        small = input_px < 96
        self.stem = _small_stem() if small else _stem()  # (B, 192, 28, 28) of 224
        self.three = _modules(192, _THREE, norm=small)  # (B, 480, 28, 28)
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.four_a = _modules(480, _FOUR[:1], norm=small)  # (B, 512, 14, 14)
        self.four_b_to_d = _modules(512, _FOUR[1:4], norm=small)  # (B, 528, 14, 14)
        self.four_e = _modules(528, _FOUR[4:], norm=small)  # (B, 832, 14, 14)
        self.pool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.five = _modules(832, _FIVE, norm=small)  # (B, 1024, 7, 7)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(1024, classes)
        )
        cells = 2 if small else 4
        auxiliary_dropout = 0.7 if dropout else 0.0
        self.auxiliary = nn.ModuleList(
            _auxiliary_head(channels, classes, cells=cells, dropout=auxiliary_dropout, norm=small)
            for channels in (512, 528)
        )

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """(B, 3, input_px, input_px) to logits (B, classes).

        In training also those of the two auxiliary heads, after the net's own.
        """
        after_a = self.four_a(self.pool3(self.three(self.stem(x))))
        after_d = self.four_b_to_d(after_a)
        logits: Tensor = self.head(self.five(self.pool4(self.four_e(after_d))))
        if not self.training:
            return logits
        return logits, self.auxiliary[0](after_a), self.auxiliary[1](after_d)


def _stem() -> nn.Sequential:
    return nn.Sequential(
        Conv(3, 64, 7, stride=2, norm=False),  # (B, 64, 112, 112)
        nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 64, 56, 56)
        ResponseNorm(alpha=2e-5, k=1.0),
        Conv(64, 64, 1, norm=False),
        Conv(64, 192, 3, norm=False),  # (B, 192, 56, 56)
        ResponseNorm(alpha=2e-5, k=1.0),
        nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 192, 28, 28)
    )


def _small_stem() -> nn.Sequential:
    return nn.Sequential(
        Conv(3, 64, 3, norm=True),  # (B, 64, 32, 32)
        nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 64, 16, 16)
        Conv(64, 192, 3, norm=True),  # (B, 192, 16, 16)
    )


def _modules(channels: int, rows: tuple[Widths, ...], *, norm: bool) -> nn.Sequential:
    modules = []
    for widths in rows:
        modules.append(Inception(channels, widths, norm=norm))
        channels = widths.total
    return nn.Sequential(*modules)


def _auxiliary_head(
    channels: int, classes: int, *, cells: int, dropout: float, norm: bool
) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(cells),  # 14 to 4 is the paper's 5×5 mean of stride 3
        Conv(channels, 128, 1, norm=norm),
        nn.Flatten(),
        nn.Linear(128 * cells * cells, 1024),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(1024, classes),
    )

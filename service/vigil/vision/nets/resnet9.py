"""ResNet-9 (Page: How to train your ResNet, myrtle.ai, 2018): for small pictures, and made to learn fast.

Wide and shallow: two residual blocks where ResNet-18 has eight, max pools instead of strides, and a maximum
over the plane at the end. Its widths are those of a later net of that kind (Jordan: 94 % on CIFAR-10 in 3.29
seconds, arXiv:2404.00498): narrow where the plane is large, and no wider than 256. At 32 px it has a quarter
of ResNet-18's multiply-adds.
"""

from torch import Tensor, nn

_WIDTHS = (32, 64, 256, 256)
_LOGIT_SCALE = 0.125  # the source's: maxima over a plane are large


class Residual(nn.Module):
    """x + branch(x), where the branch ends in a ReLU: the sum has none after it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_conv_norm(channels, channels), *_conv_norm(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        y: Tensor = x + self.branch(x)
        return y


class ResNet9(nn.Module):
    """For inputs of 32 px. 2.0 M weights."""

    def __init__(self, *, classes: int, input_px: int = 32) -> None:
        super().__init__()
        first, second, third, fourth = _WIDTHS
        self.stages = nn.Sequential(
            nn.Sequential(*_conv_norm(3, first)),  # (B, 32, 32, 32)
            nn.Sequential(*_halving(first, second), Residual(second)),  # (B, 64, 16, 16)
            nn.Sequential(*_halving(second, third)),  # (B, 256, 8, 8)
            nn.Sequential(*_halving(third, fourth), Residual(fourth)),  # (B, 256, 4, 4)
        )
        self.head = nn.Sequential(
            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(fourth, classes, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.stages(x)) * _LOGIT_SCALE
        return y


def _conv_norm(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)


def _halving(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    conv, norm, relu = _conv_norm(channels_in, channels_out)
    return conv, nn.MaxPool2d(2), norm, relu  # a quarter of the work for norm and ReLU

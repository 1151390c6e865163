"""ResNet (He, Zhang, Ren, Sun: Deep residual learning for image recognition, arXiv:1512.03385).

A block learns what to add to its input. In blocks of three convolutions the 3×3 one has the stride, not the
first 1×1 as in the paper: it drops no cell unseen, at the same number of weights.
"""

from torch import Tensor, nn
from torch.nn import functional

# Blocks at each of four resolutions, and whether a block is 1×1, 3×3, 1×1.
DEPTHS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}
_WIDTHS = (64, 128, 256, 512)
_EXPANSION = 4


class Residual(nn.Module):
    """relu(shortcut(x) + branch(x)). The branch begins at zero, so that a new net is shallow."""

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        last = branch[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        return functional.relu(self.shortcut(x) + self.branch(x))


class ResNet(nn.Module):
    """Inputs under 96 px get a 3×3 first convolution of stride 1 and no pool after it."""

    def __init__(
        self,
        depths: tuple[int, int, int, int],
        *,
        bottleneck: bool,
        classes: int,
        input_px: int = 224,
    ) -> None:
        super().__init__()
        small = input_px < 96
        self.stem = nn.Sequential(
            *_conv_norm(3, 64, 3 if small else 7, stride=1 if small else 2),  # (B, 64, 112, 112)
            nn.ReLU(inplace=True),
            *([] if small else [nn.MaxPool2d(3, 2, padding=1)]),  # (B, 64, 56, 56)
        )
        make = _three if bottleneck else _two
        channels = 64
        stages: list[nn.Module] = []
        for index, (depth, width) in enumerate(zip(depths, _WIDTHS, strict=True)):
            blocks: list[nn.Module] = []
            for number in range(depth):
                stride = 2 if index > 0 and number == 0 else 1
                blocks.append(make(channels, width, stride))
                channels = width * (_EXPANSION if bottleneck else 1)
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)  # (B, channels, 7, 7) of 224
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.stages(self.stem(x)))
        return y


def _two(channels_in: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(
        *_conv_norm(channels_in, width, 3, stride=stride),
        nn.ReLU(inplace=True),
        *_conv_norm(width, width, 3),
    )
    return Residual(branch, _shortcut(channels_in, width, stride))


def _three(channels_in: int, width: int, stride: int) -> Residual:
    branch = nn.Sequential(
        *_conv_norm(channels_in, width, 1),
        nn.ReLU(inplace=True),
        *_conv_norm(width, width, 3, stride=stride),
        nn.ReLU(inplace=True),
        *_conv_norm(width, width * _EXPANSION, 1),
    )
    return Residual(branch, _shortcut(channels_in, width * _EXPANSION, stride))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(*_conv_norm(channels_in, channels_out, 1, stride=stride))


def _conv_norm(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1
) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(channels_out)

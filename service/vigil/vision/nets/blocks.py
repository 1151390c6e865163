"""The parts that the nets are made of: 3×3 and 1×1 convolutions with norms that fold away."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Net = TypeVar("Net", bound=nn.Module)


class ConvNorm(nn.Module):
    """Convolution, batch norm and ReLU. `fuse` folds the norm into the convolution.

    ReLU, because it is one instruction in every back end and fuses into the convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding=(kernel - 1) // 2, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.ReLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y

    @torch.no_grad()
    def fuse(self) -> None:
        """Fold the norm's running statistics into the convolution, in float32. Idempotent."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        conv = self.conv
        fused = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]  # torch types it as any-length
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            bias=True,
        ).to(conv.weight.device)
        assert fused.bias is not None
        fused.weight.copy_(conv.weight * scale[:, None, None, None])
        fused.bias.copy_(norm.bias - norm.running_mean * scale)
        self.conv = fused
        self.norm = nn.Identity()


def channels_last(net: Net) -> Net:
    """The net with its weights laid out as the convolutions run fastest; in place."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


def fold_norms(net: nn.Module) -> None:
    """Fold every batch norm that comes right after a convolution into it; for evaluation only. Idempotent."""
    for module in net.modules():
        if isinstance(module, ConvNorm):
            module.fuse()
        elif isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                conv, norm = module[index], module[index + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(conv, norm)
                    module[index + 1] = nn.Identity()


class InFloat32(nn.Module):
    """A convolution that is computed in float32 whatever comes in.

    For the nets' last one: its outputs are exponents of box sides, of which bfloat16 keeps 8 bits.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv.float()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) of any type to (B, C_out, H, W) float32."""
        y: Tensor = self.conv(x.float())
        return y


class Bottleneck(nn.Module):
    """x + 3×3(1×1(x)), the 1×1 to half the channels (DarkNet-53, arXiv:1804.02767)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(channels, channels // 2, kernel=1)
        self.expand = ConvNorm(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        y: Tensor = x + self.expand(self.reduce(x))
        return y


class PyramidPool(nn.Module):
    """Three 5×5 max pools in a row, joined by a 1×1 convolution: context for large objects.

    The serial form of spatial pyramid pooling (SPPF of YOLOv5).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = ConvNorm(channels, half, kernel=1)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = ConvNorm(4 * half, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        levels = [self.reduce(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        y: Tensor = self.join(torch.cat(levels, dim=1))
        return y

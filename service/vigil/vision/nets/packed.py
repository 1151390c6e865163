"""Convolutions as oneDNN wants them: weights laid out once, ReLU within.

Only for inference on a CPU. It is what inductor's freezing does, without the compiler and its 20 s a
batch size; the numbers are bit for bit those of the plain convolutions.
"""

from typing import Any

import torch
from torch import Tensor, nn

from vigil.vision.nets.blocks import ConvNorm
from vigil.vision.nets.detector_net import DetectorNet


class PackedConv(nn.Module):
    """A convolution, with or without ReLU, its weights packed for inputs of about this size."""

    def __init__(self, conv: nn.Conv2d, *, relu: bool, input_size: list[int]) -> None:
        super().__init__()
        self._padding, self._stride = _numbers(conv.padding), _numbers(conv.stride)
        self._attribute = "relu" if relu else "none"
        self._bias = conv.bias
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight.detach(), self._padding, self._stride, [1, 1], 1, input_size
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, self._padding, self._stride, [1, 1], 1,
            self._attribute, [], "",
        )  # fmt: skip
        return y


def can_pack() -> bool:
    """Whether this build of torch has what packing needs."""
    available: bool = torch._C._has_mkldnn
    return available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def pack(net: DetectorNet, *, input_hw: tuple[int, int]) -> None:
    """Replace the convolutions of a folded net, in place, by packed ones."""
    sizes: dict[nn.Module, list[int]] = {}

    def remember(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes[module] = list(inputs[0].shape)

    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_pre_hook(remember) for module in convolutions]
    with torch.inference_mode():
        net(torch.zeros(1, 3, *input_hw, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    _replace(net, sizes)


def _replace(module: nn.Module, sizes: dict[nn.Module, list[int]]) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, ConvNorm):
            relu = isinstance(child.act, nn.ReLU)
            packed = PackedConv(child.conv, relu=relu, input_size=sizes[child.conv])
            setattr(module, name, packed)
        elif isinstance(child, nn.Conv2d):
            setattr(module, name, PackedConv(child, relu=False, input_size=sizes[child]))
        else:
            _replace(child, sizes)


def _numbers(value: Any) -> list[int]:
    return [int(number) for number in value]

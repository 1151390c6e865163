"""A larger net that begins where a smaller one of the same shape stands.

Every channel of the small net has its place in the large one, which computes in it exactly what the small
one did: channels that are new read everything and are read by nothing yet, their outgoing weights being
zero. So the large net starts with the small one's accuracy, and its new channels are features by chance
that the first steps learn to use (after Net2Net, arXiv:1511.05641, whose copies would have to be told
apart by noise first).
"""

import torch
from torch import Tensor, nn

from vigil.errors import DamagedModel
from vigil.vision.nets.blocks import PyramidPool
from vigil.vision.nets.detector_net import DetectorNet


@torch.no_grad()
def grow(large: DetectorNet, small: DetectorNet) -> None:
    """Put the small net's function into the large one, in place.

    Raises DamagedModel where they have different blocks or classes, or a layer of the large one is narrower.
    """
    mine, theirs = dict(large.named_modules()), dict(small.named_modules())
    if mine.keys() != theirs.keys() or large.classes != small.classes:
        raise DamagedModel("only a net of the same blocks and classes can be grown from another")
    joins = {f"{name}.join.conv" for name, of in mine.items() if isinstance(of, PyramidPool)}
    for name, old in theirs.items():
        new = mine[name]
        if isinstance(old, nn.Conv2d) and isinstance(new, nn.Conv2d):
            _grow_conv(new, old, parts=4 if name in joins else 1)
        elif isinstance(old, nn.BatchNorm2d):
            for key, value in old.state_dict().items():
                if value.ndim:
                    new.state_dict()[key][: len(value)] = value


def _grow_conv(new: nn.Conv2d, old: nn.Conv2d, *, parts: int) -> None:
    """Of inputs that are joined from parts, each part has grown at its end."""
    if new.out_channels < old.out_channels or new.in_channels < old.in_channels:
        raise DamagedModel(
            f"a layer of {new.in_channels} to {new.out_channels} channels cannot hold one"
            f" of {old.in_channels} to {old.out_channels}; grow from a smaller net"
        )
    kept = _kept_inputs(new.in_channels, old.in_channels, parts)
    outputs = old.out_channels
    new.weight[:outputs] = 0.0
    new.weight[:outputs, kept] = old.weight
    if old.bias is not None and new.bias is not None:
        new.bias[:outputs] = old.bias


def _kept_inputs(new: int, old: int, parts: int) -> Tensor:
    each = torch.arange(old // parts)
    return torch.cat([each + part * (new // parts) for part in range(parts)])

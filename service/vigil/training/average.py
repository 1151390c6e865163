"""Weights of several runs, or of one run at several steps, averaged: what another stage can begin with.

Runs that began with the same weights lie in one basin, and the mean of their weights is often better than
each of them (arXiv:2203.05482); between nets that learnt apart it is worth nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vigil.errors import DamagedModel
from vigil.training.checkpoint import state_beside_weights, trained_weights


def average(paths: Sequence[Path], weights: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of trained weights, a weight each; whole numbers are the last one's.

    Norms' running statistics are averaged like everything else (measured: DECISIONS.md). ``weights`` are
    above 0, of any sum. Raises DamagedModel where the nets differ.
    """
    nets = [trained_weights(path) for path in paths]
    last = nets[-1]
    for path, net in zip(paths, nets, strict=True):
        _expect_same(path, net, paths[-1], last)
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    return {
        name: _mean([net[name] for net in nets], shares) if tensor.is_floating_point() else tensor
        for name, tensor in last.items()
    }


def write_average(paths: Sequence[Path], weights: Sequence[float], checkpoint: Path) -> int:
    """Write the mean as a checkpoint, net and moving average alike, and give the step it stands at.

    Step and optimiser are those of the last one named, where it is a checkpoint: its run can go on from
    there. Raises DamagedModel.
    """
    mean = average(paths, weights)
    beside, metadata, step = state_beside_weights(paths[-1])
    tensors = {
        f"{part}.{name}": value.clone()
        for part in ("net", "average")
        for name, value in mean.items()
    }
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    save_file(beside | tensors, partial, metadata=metadata)
    partial.replace(checkpoint)
    return step


def _mean(tensors: Sequence[Tensor], shares: Tensor) -> Tensor:
    total = sum(share * each.double() for share, each in zip(shares, tensors, strict=True))
    assert isinstance(total, Tensor)
    return total.to(tensors[-1].dtype).contiguous()


def _expect_same(
    path: Path, net: dict[str, Tensor], last: Path, of_last: dict[str, Tensor]
) -> None:
    for name in sorted(net.keys() | of_last.keys()):
        shapes = [list(each[name].shape) if name in each else "none" for each in (net, of_last)]
        if shapes[0] != shapes[1]:
            raise DamagedModel(
                f"{path} and {last} are other nets: {name} is {shapes[0]} in one and {shapes[1]} in the"
                " other; name runs of the same architecture and classes"
            )

"""Beginning from weights that another run learnt, with some stages held as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from vigil.errors import DamagedModel
from vigil.training.checkpoint import trained_weights


@torch.no_grad()
def take_weights(net: nn.Module, path: Path) -> int:
    """Copy every tensor of trained weights that has the name and shape of one of the net's; how many.

    ``path`` is a model's or a run's folder, weights, or a run's checkpoint, of which the average is taken.
    The last layer keeps its fresh weights where the number of classes is another. Raises DamagedModel
    where nothing fits.
    """
    given = trained_weights(path)
    taken = 0
    for name, tensor in net.state_dict().items():
        held = given.get(name, given.get(name.removeprefix("net.")))  # a detector's has no prefix
        if held is not None and held.shape == tensor.shape and name != "temperature":
            tensor.copy_(held)
            taken += 1
    if taken == 0:
        raise DamagedModel(f"{path} has no layer of this net; name weights of the same --arch")
    return taken


def freeze(net: nn.Module, stages: Sequence[str]) -> None:
    """Hold the weights of parts of the net (`stages.0`, `features`), by the names that `describe` gives.

    Raises DamagedModel where the net has no such part.
    """
    for part in _parts(net, stages):
        part.requires_grad_(False)


def hold_norms(net: nn.Module, stages: Sequence[str]) -> None:
    """Keep the norms of frozen parts in evaluation: their statistics are weights, too."""
    for part in _parts(net, stages):
        part.eval()


def _parts(net: nn.Module, stages: Sequence[str]) -> Iterator[nn.Module]:
    for name in stages:
        try:
            yield net.get_submodule(f"net.{name}")
        except AttributeError as error:
            raise DamagedModel(
                f"the net has no part {name!r}; `vigil models describe` names its parts"
            ) from error

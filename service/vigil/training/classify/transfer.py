"""Stages of a net that are held as another run learnt them."""

from collections.abc import Iterator, Sequence

from torch import nn

from vigil.errors import DamagedModel


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

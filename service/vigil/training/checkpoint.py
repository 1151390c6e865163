"""A run's state on disk: safetensors, written whole or not at all. Nothing is unpickled."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vigil.errors import DamagedModel


def save_checkpoint(
    path: Path, *, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> None:
    """Write the state after ``step`` steps; the file is replaced in one move."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    of = {"step": step, "optimiser": type(optimiser).__name__}
    save_file(plain, partial, metadata={"vigil": json.dumps(of)})
    partial.replace(path)


def load_checkpoint(
    path: Path,
    *,
    net: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer | None,
) -> int:
    """Put a saved state back and give its step. Raises DamagedModel where it does not fit.

    Another optimiser than the one that saved it begins without moments.
    """
    try:
        with safe_open(path, framework="pt") as file:
            of = json.loads(file.metadata()["vigil"])
            step = int(of["step"])
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        net.load_state_dict(_under("net.", tensors))
        average.load_state_dict(_under("average.", tensors))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DamagedModel(
            f"{path} is no checkpoint of this net ({error}); begin a new run or name the right one"
        ) from error
    if optimiser is not None and of.get("optimiser", "AdamW") == type(optimiser).__name__:
        saved = optimiser.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": states, "param_groups": saved["param_groups"]})
    return step


def trained_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a model's or a run's folder, weights or a checkpoint, of which the average is taken.

    Raises DamagedModel where there are none.
    """
    path = _file(path)
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DamagedModel(
            f"{path} cannot be read ({error}); name a model's weights or a run's checkpoint"
        ) from error
    return _under("average.", given) or given


@torch.no_grad()
def take_weights(net: nn.Module, path: Path) -> int:
    """Copy every tensor of trained weights that has the name and shape of one of the net's; how many.

    ``path`` is what `trained_weights` takes. A classifier's names begin with ``net.`` and a detector's do
    not; one begins with the other's all the same. The last layer keeps its fresh weights where the number of
    classes is another. Raises DamagedModel where nothing fits.
    """
    given = {name.removeprefix("net."): held for name, held in trained_weights(path).items()}
    taken = 0
    for name, tensor in net.state_dict().items():
        held = given.get(name.removeprefix("net."))
        if held is not None and held.shape == tensor.shape and name != "temperature":
            tensor.copy_(held)
            taken += 1
    if taken == 0:
        raise DamagedModel(
            f"{path} has no layer of this net; name weights of the same architecture"
        )
    return taken


def state_beside_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str], int]:
    """What a checkpoint holds of its optimiser, its metadata and its step; of mere weights nothing and 0."""
    with safe_open(_file(path), framework="pt") as file:
        metadata = file.metadata() or {}
        names = [name for name in file.keys() if name.startswith("optimiser.")]  # noqa: SIM118
        beside: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
    if "vigil" not in metadata:
        metadata = {"vigil": json.dumps({"step": 0})}
    return beside, metadata, int(json.loads(metadata["vigil"])["step"])


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = [path / f"{name}.safetensors" for name in ("weights", "best", "checkpoint")]
    return next((file for file in files if file.is_file()), files[0])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

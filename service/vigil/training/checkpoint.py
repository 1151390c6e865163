"""A run's state on disk: safetensors, written whole or not at all. Nothing is unpickled."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
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
    save_file(plain, partial, metadata={"vigil": json.dumps({"step": step})})
    partial.replace(path)


def load_checkpoint(
    path: Path,
    *,
    net: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer | None,
) -> int:
    """Put a saved state back and give its step. Raises DamagedModel where it does not fit."""
    try:
        with safe_open(path, framework="pt") as file:
            step = int(json.loads(file.metadata()["vigil"])["step"])
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        net.load_state_dict(_under("net.", tensors))
        average.load_state_dict(_under("average.", tensors))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DamagedModel(
            f"{path} is no checkpoint of this net ({error}); begin a new run or name the right one"
        ) from error
    if optimiser is not None:
        saved = optimiser.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": states, "param_groups": saved["param_groups"]})
    return step


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

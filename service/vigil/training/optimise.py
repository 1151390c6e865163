"""Optimiser, learning rate and the moving average of the weights."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from vigil.training.recipe import Recipe, Stage

_BETAS = (0.9, 0.99)


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over a net with contiguous weights; norms and biases are not decayed."""
    matrices = _matrices(net) if recipe.optimiser == "muon" else []
    taken = {id(p) for p in matrices}
    rest = [p for p in net.parameters() if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if not matrices:
        return torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, fused=True)
    return Muon(groups, matrices, weight_decay=recipe.weight_decay)


class Muon(torch.optim.AdamW):
    """Filters of many inputs move along their momentum made orthogonal, all else by AdamW.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/), a step as long as AdamW's
    would be (Liu et al., arXiv:2502.16982), so that one learning rate serves both. A filter bank
    (C_out, C_in, k, k) is the matrix (C_out, C_in·k·k), and torch's Muon, which knows matrices only,
    sees it as a view of the very weights.
    """

    def __init__(
        self, groups: list[dict[str, Any]], filters: list[nn.Parameter], *, weight_decay: float
    ) -> None:
        super().__init__(groups, lr=0.0, betas=_BETAS, fused=True)
        self._filters = filters
        self._views = [bank.detach().view(len(bank), -1) for bank in filters]
        self._muon = torch.optim.Muon(
            self._views, lr=0.0, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )

    def step(self, closure: Any = None) -> Any:
        """One step of both, at the learning rate of the first group."""
        for view, weights in zip(self._views, self._filters, strict=True):
            view.grad = None if weights.grad is None else weights.grad.view_as(view)
        self._muon.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self._muon.step()  # type: ignore[no-untyped-call]  # torch's
        return super().step(closure)

    def state_dict(self) -> dict[str, Any]:
        """AdamW's, then the filters' momenta under the numbers that follow."""
        state = super().state_dict()
        first = self._count()
        momenta = self._muon.state_dict()["state"]
        state["state"] = state["state"] | {first + index: one for index, one in momenta.items()}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        first = self._count()
        mine = {i: one for i, one in state_dict["state"].items() if i < first}
        momenta = {i - first: one for i, one in state_dict["state"].items() if i >= first}
        super().load_state_dict(state_dict | {"state": mine})
        self._muon.load_state_dict(self._muon.state_dict() | {"state": momenta})

    def _count(self) -> int:
        return sum(len(group["params"]) for group in self.param_groups)


def _matrices(net: nn.Module) -> list[nn.Parameter]:
    """Weights of convolutions within the net: neither what meets pixels nor what says boxes."""
    return [p for p in net.parameters() if p.ndim == 4 and len(p) >= 16 and p.shape[1] > 3]


def learning_rate(stage: Stage, step: int) -> float:
    """The rate at a step of a stage: linear warm-up, then a cosine to the final rate."""
    if step < stage.warmup_steps:
        return stage.learning_rate * (step + 1) / stage.warmup_steps
    done = (step - stage.warmup_steps) / max(1, stage.steps - stage.warmup_steps)
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    return stage.final_learning_rate + (stage.learning_rate - stage.final_learning_rate) * fall


class MovingAverage:
    """An exponential moving average of a net's weights and norms: what is evaluated and shipped."""

    def __init__(self, net: nn.Module, *, decay: float) -> None:
        self.net = copy.deepcopy(net).eval()
        self._decay = decay
        for parameter in self.net.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards ``net``; faster while the run is young."""
        decay = self._decay * (1.0 - math.exp(-(step + 1) / 500.0))
        mine, theirs = _floats(self.net), _floats(net)
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)


def _floats(net: nn.Module) -> list[Tensor]:
    return [t for t in net.state_dict().values() if t.dtype.is_floating_point]

"""Optimiser, learning rate and the moving average of the weights."""

import copy
import math

import torch
from torch import Tensor, nn

from vigil.training.recipe import Stage


def make_optimiser(net: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
    """AdamW; norms and biases are not decayed."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99), fused=True)


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

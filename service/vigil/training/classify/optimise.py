"""A classifier's optimiser and its learning rate over the run."""

import math

import torch
from torch import nn

from vigil.training.classify.recipe import ClassifierRecipe


def make_optimiser(net: nn.Module, recipe: ClassifierRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; norms, biases and other vectors are not decayed."""
    groups = [
        {
            "params": [p for p in net.parameters() if p.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = recipe.learning_rate
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    nesterov = recipe.optimiser == "nesterov"
    return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov)


def learning_rate(recipe: ClassifierRecipe, step: int, *, steps_per_epoch: int) -> float:
    """The rate at a step: linear warm-up, then constant, by steps of a tenth, or a cosine to zero."""
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "step":
        falls = step // (recipe.step_epochs * steps_per_epoch)
        return recipe.learning_rate * float(0.1**falls)
    total = recipe.epochs * steps_per_epoch
    done = (step - warmup) / max(1, total - warmup)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

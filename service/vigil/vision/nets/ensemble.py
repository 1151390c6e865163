"""Several nets that answer together: the mean of their probabilities (Hansen, Salamon, 1990)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Nets of the same input and classes; each one's logits are divided by its own temperature first."""

    temperatures: Tensor

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("temperatures", torch.ones(len(members)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to the logarithms of mean probabilities (B, classes)."""
        least = torch.promote_types(x.dtype, torch.float32)  # a mean of bfloat16s would be coarse
        each = [
            torch.log_softmax(member(x).to(least) / temperature.to(least), dim=1)
            for member, temperature in zip(self.members, self.temperatures, strict=True)
        ]
        return torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each))

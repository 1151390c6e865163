"""LeNet-5 (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998).

As published, with one change: the output is a linear layer, not radial basis functions on drawn digits.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Table I of the paper: which maps of S2 each map of C3 sees. Breaking the symmetry was the point.
_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3): f(1) = 1, and steepest in the middle (the paper's appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return 1.7159 * torch.tanh(x * (2.0 / 3.0))


class Subsample(nn.Module):
    """The mean of each 2×2 field, times a learnt factor, plus a learnt bias, of each map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        mean = functional.avg_pool2d(x, 2)
        return mean * self.factor[:, None, None] + self.bias[:, None, None]


class TableConv(nn.Module):
    """A 5×5 convolution whose maps each see only the inputs that a table names."""

    into: Tensor
    out_of: Tensor

    def __init__(self, table: tuple[tuple[int, ...], ...], channels_in: int) -> None:
        super().__init__()
        pairs = [(to, source) for to, sources in enumerate(table) for source in sources]
        self.shape = (len(table), channels_in, 5, 5)
        self.register_buffer("into", torch.tensor([to for to, _ in pairs]), persistent=False)
        self.register_buffer("out_of", torch.tensor([of for _, of in pairs]), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        nn.init.uniform_(self.weight, -0.12, 0.12)  # 1 / root of 75 inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, maps, H - 4, W - 4)."""
        dense = self.weight.new_zeros(self.shape)
        dense = dense.index_put((self.into, self.out_of), self.weight)
        return functional.conv2d(x, dense, self.bias)


class LeNet5(nn.Module):
    """60,000 weights before the output layer for grey pictures of 32×32, as the paper counts."""

    def __init__(self, *, classes: int, input_px: int = 32, channels: int = 3) -> None:
        super().__init__()
        side = ((input_px - 4) // 2 - 4) // 2  # what is left before C5: 5 of 32
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5),  # C1 (B, 6, 28, 28)
            ScaledTanh(),
            Subsample(6),  # S2 (B, 6, 14, 14)
            ScaledTanh(),
            TableConv(_TABLE, 6),  # C3 (B, 16, 10, 10)
            ScaledTanh(),
            Subsample(16),  # S4 (B, 16, 5, 5)
            ScaledTanh(),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * side * side, 120),  # C5, a convolution that covers its input
            ScaledTanh(),
            nn.Linear(120, 84),  # F6
            ScaledTanh(),
            nn.Linear(84, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.features(x))
        return y

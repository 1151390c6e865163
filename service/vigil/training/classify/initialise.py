"""First weights: Xavier's for layers that are linear or tanh, He's for those before a ReLU."""

from typing import Literal

from torch import nn

Initialisation = Literal["he", "xavier", "torch"]


def initialise(net: nn.Module, kind: Initialisation) -> None:
    """Draw the weights of every convolution and full layer anew; biases become zero.

    ``xavier`` keeps the variance through linear layers (Glorot, Bengio, 2010), ``he`` through ReLUs
    (arXiv:1502.01852); ``torch`` leaves everything as it was made. Layers of our own keep theirs.
    """
    if kind == "torch":
        return
    for module in net.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        if kind == "xavier":
            nn.init.xavier_normal_(module.weight)
        else:
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""AlexNet (Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional networks, 2012).

One tower; ``groups=2`` joins the maps as the paper's two GPUs did, in the second, fourth and fifth
convolution. The paper says 224, its arithmetic (55 = (227 - 11) / 4 + 1) says 227.
"""

from torch import Tensor, nn

from vigil.vision.nets.response_norm import ResponseNorm


class AlexNet(nn.Module):
    """Five convolutions, three full layers, local response normalisation, dropout.

    Inputs under 96 px get a 3×3 first convolution of stride 1 and full layers of 1,024.
    """

    def __init__(
        self, *, classes: int, input_px: int = 227, groups: int = 1, dropout: float = 0.5
    ) -> None:
        super().__init__()
        small = input_px < 96
        first = nn.Conv2d(3, 96, 3, padding=1) if small else nn.Conv2d(3, 96, 11, stride=4)
        side = input_px if small else (input_px - 11) // 4 + 1
        for _ in range(3):
            side = (side - 3) // 2 + 1
        hidden = 1024 if small else 4096
        self.features = nn.Sequential(
            first,  # (B, 96, 55, 55)
            nn.ReLU(inplace=True),
            ResponseNorm(alpha=1e-4, k=2.0),
            nn.MaxPool2d(3, 2),  # (B, 96, 27, 27)
            nn.Conv2d(96, 256, 5, padding=2, groups=groups),  # (B, 256, 27, 27)
            nn.ReLU(inplace=True),
            ResponseNorm(alpha=1e-4, k=2.0),
            nn.MaxPool2d(3, 2),  # (B, 256, 13, 13)
            nn.Conv2d(256, 384, 3, padding=1),  # (B, 384, 13, 13)
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=groups),  # (B, 384, 13, 13)
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=groups),  # (B, 256, 13, 13)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),  # (B, 256, 6, 6)
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (B, 9216)
            nn.Dropout(dropout),
            nn.Linear(256 * side * side, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.features(x))
        return y

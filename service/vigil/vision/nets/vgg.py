"""VGG, configurations A and D (Simonyan, Zisserman, arXiv:1409.1556): 3×3 convolutions, and nothing else."""

from torch import Tensor, nn

# Convolutions at each of five resolutions; a 2×2 pool ends each.
DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3)}
_WIDTHS = (64, 128, 256, 512, 512)


class Vgg(nn.Module):
    """Inputs under 96 px get batch norm, since depth without it hardly trains, and one full layer of 512."""

    def __init__(
        self,
        depths: tuple[int, int, int, int, int],
        *,
        classes: int,
        input_px: int = 224,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        small = input_px < 96
        layers: list[nn.Module] = []
        channels = 3
        for depth, width in zip(depths, _WIDTHS, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=not small))
                if small:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU(inplace=True))
                channels = width
            layers.append(nn.MaxPool2d(2))  # (B, width, H / 2, W / 2)
        self.features = nn.Sequential(*layers)  # (B, 512, 7, 7) of 224
        inputs = 512 * (input_px // 32) ** 2
        hidden = (512,) if small else (4096, 4096)
        head: list[nn.Module] = [nn.Flatten()]
        for width in hidden:
            head += [nn.Linear(inputs, width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            inputs = width
        self.head = nn.Sequential(*head, nn.Linear(inputs, classes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) to logits (B, classes)."""
        y: Tensor = self.head(self.features(x))
        return y

"""PyramidNet: the detector without its boxes, its three levels pooled for a classifier's last layer.

It begins with the detector's weights (`vigil train classifier --arch pyramidnet-s --from
models/vigil-det-s/weights.safetensors`), those of pyramid and heads too: layers that have been told a bus
from a lorry on every picture of its training. TrunkNet begins with the backbone's alone.
"""

import torch
from torch import Tensor, nn

from vigil.errors import UnknownModel
from vigil.vision.nets.detector_net import ARCHITECTURES, STRIDES, DetectorNet

_MULTIPLE_PX = STRIDES[-1]  # what is upsampled from a level must be as large as the next


class PyramidNet(DetectorNet):
    """The trunk of a detector's architecture by its name; names of layers as there, so that its weights fit.

    Of vigil-det-n 0.9 M weights, of vigil-det-s 2.2 M. Raises UnknownModel where the input is no multiple of
    32 px.
    """

    def __init__(
        self,
        trunk: str = "vigil-det-n",
        *,
        classes: int,
        input_px: int = 160,
        dropout: float = 0.1,
    ) -> None:
        if input_px % _MULTIPLE_PX:
            near = round(input_px / _MULTIPLE_PX) * _MULTIPLE_PX
            raise UnknownModel(
                f"the pyramid's levels need an input of a multiple of {_MULTIPLE_PX} px, not {input_px}: "
                f"take {near}"
            )
        architecture = ARCHITECTURES[trunk]
        super().__init__(architecture, classes=classes)
        for head in self.heads:
            assert isinstance(head, nn.Sequential)
            del head[-1]  # boxes and the detector's own classes
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * sum(architecture.pyramid_channels), classes),
        )

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # logits, no boxes
        """(B, 3, input_px, input_px), as `Classifier` scales pixels, to logits (B, classes).

        In service, the mean for the picture and its mirror image, at twice the cost: what the net is not sure
        of it seldom mistakes both ways.
        """
        both = x if self.training else torch.cat([x, x.flip(3)])
        levels = self.pyramid(
            both
        )  # (2B, 64, 20, 20), (2B, 96, 10, 10), (2B, 128, 5, 5) of s, 160 px
        seen = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        pooled = torch.cat([part for of in seen for part in (of.mean((2, 3)), of.amax((2, 3)))], 1)
        if not self.training:
            pooled = pooled.view(2, len(x), -1).mean(0)  # (B, 576)
        y: Tensor = self.head(pooled)
        return y

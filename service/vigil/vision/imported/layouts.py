"""What the outputs of the common families of detectors mean.

Each layout says from a graph's outputs whether they can be its own, and turns them into boxes and scores
of one picture. Plain numpy; no library of any family is used.
"""

from collections.abc import Mapping

from vigil.vision.imported.layout import Candidates, Context, Layout, Shape
from vigil.vision.imported.ssd_detr import Detr, SsdOutput, SsdPriors
from vigil.vision.imported.yolo import EndToEnd, FastestDet, YoloV5, YoloV8, Yolox

__all__ = ["LAYOUTS", "Candidates", "Context", "Layout", "Shape", "layout_named", "recognise"]

LAYOUTS: tuple[Layout, ...] = (
    SsdOutput(), SsdPriors(), FastestDet(), YoloV8(), Yolox(), YoloV5(), EndToEnd(), Detr(),
)  # fmt: skip


def recognise(outputs: Mapping[str, Shape], context: Context) -> list[Layout]:
    """The layouts that outputs of these names and shapes can have, the most particular first."""
    return [layout for layout in LAYOUTS if layout.fits(outputs, context)]


def layout_named(name: str) -> Layout:
    """Raises KeyError on a name that is not a layout's."""
    return {layout.name: layout for layout in LAYOUTS}[name]

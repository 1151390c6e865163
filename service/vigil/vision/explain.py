"""Seeing why: which parts of a picture speak for what a net says of it, as a heat map.

Grad-CAM (arXiv:1610.02391) with the gradients weighed cell by cell rather than by their mean (HiResCAM,
arXiv:2011.08891), so that only cells that the answer comes from are hot. Computed on a float32 net of its own
with gradients: what serves is folded, packed, perhaps in bfloat16, and has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vigil.data import F32, U8
from vigil.errors import DamagedModel
from vigil.vision.classifier import load_classifier
from vigil.vision.manifest import Manifest
from vigil.vision.nets.classifier import Classifier
from vigil.vision.nets.detector_net import DetectorNet, boxes_xyxy, cells
from vigil.vision.weights import load_net

MEETS_IOU = 0.5  # a cell whose box overlaps the object's so speaks for it
MOST_CELLS = 12  # that speak for one answer
LEAST_SIDE = 7  # cells of a classifier's map: the papers' 7×7 at 224

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Heat:
    """What speaks for an answer: 0 to 1 over the net's input, coarser than its pixels."""

    map: F32  # (h, w)
    class_id: int
    score: float


class DetectorExplainer:
    """A detector in float32 with gradients. Raises DamagedModel for an imported graph, which has none."""

    def __init__(self, manifest: Manifest) -> None:
        if manifest.imported is not None:
            raise DamagedModel(f"{manifest.name!r} is an imported graph: it has no gradients")
        self._net = _with_gradients(load_net(manifest))
        self._hw = manifest.input_hw
        self._classes = manifest.classes

    def explain(
        self, picture: U8, *, class_id: int | None = None, xyxy_px: Box | None = None
    ) -> Heat:
        """What speaks for an object, for a class anywhere, or, with neither, for the surest object.

        picture is (H, W, 3) uint8 BGR of the input's size; the box is in its pixels, and its class, if none
        is given, the one that is surest there.
        """
        net = self._net
        assert isinstance(net, DetectorNet)
        with _Maps(_stages(net)) as maps, torch.enable_grad():
            answer = net(_tensor(picture))
            logits = answer.logits[0]
            boxes = boxes_xyxy(answer.distances.detach(), cells(*self._hw))[0]
            near = _meeting(boxes, xyxy_px) if xyxy_px is not None else None
            among = logits if near is None else logits[near]
            chosen = int(among.detach().amax(dim=0).argmax()) if class_id is None else class_id
            if near is None and class_id is None:
                near = _meeting(boxes, boxes[int(logits[:, chosen].argmax())].tolist())
                among = logits[near]
            said = among[:, chosen]
            best = said.topk(min(MOST_CELLS, len(said))).values
            best.sum().backward()
            heat = _joined(maps.taken)
        net.zero_grad()
        return Heat(heat, chosen, float(best[0].detach().sigmoid()))


class ClassifierExplainer:
    """A classifier in float32 with gradients."""

    def __init__(self, manifest: Manifest) -> None:
        net = _with_gradients(load_classifier(manifest))
        assert isinstance(net, Classifier)
        self._net = net
        # A trunk with a pyramid answers from several levels at once, as the detector does.
        self._stages = _stages(net.net) if isinstance(net.net, DetectorNet) else []
        self._layers = self._stages or [m for m in net.modules() if not list(m.children())]

    def explain(self, crop: U8, *, class_id: int | None = None) -> Heat:
        """What in a crop (S, S, 3) uint8 BGR speaks for a class, or for the surest one."""
        with _Maps(self._layers) as maps, torch.enable_grad():
            logits = self._net(_tensor(crop))
            assert isinstance(logits, Tensor)
            chosen = int(logits[0].argmax()) if class_id is None else class_id
            others = torch.cat([logits[0, :chosen], logits[0, chosen + 1 :]])
            (logits[0, chosen] - others.mean()).backward()  # type: ignore[no-untyped-call]
            heat = _joined(maps.taken if self._stages else [_deepest(maps.taken)])
            chances = torch.softmax(logits[0].detach() / self._net.temperature, dim=0)
        self._net.zero_grad()
        return Heat(heat, chosen, float(chances[chosen]))


class _Maps:
    """Keeps what modules give, with its gradient, while it is entered."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self.taken: list[Tensor] = []

    def __enter__(self) -> "_Maps":
        self._handles = [module.register_forward_hook(self._take) for module in self._modules]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _take(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.ndim == 4 and output.requires_grad:
            output.retain_grad()
            self.taken.append(output)


def _stages(net: DetectorNet) -> list[nn.Module]:
    """What a detector's pyramid is made of: the backbone at strides 8, 16 and 32."""
    return [net.stages[i] for i in (1, 2, 3)]


def _joined(maps: Sequence[Tensor]) -> F32:
    """What the cells of maps (1 or 2, C, h, w) give to the answer, as fine as the finest; most is 1."""
    height, width = max((one.shape[2], one.shape[3]) for one in maps)
    size = (height, width)
    heat = torch.zeros(1, 1, height, width)
    for one in maps:
        if one.grad is not None:
            part = (one.detach() * one.grad).sum(dim=1, keepdim=True).relu()
            if len(part) == 2:  # of a picture and its mirror image
                part = part[:1] + part[1:].flip(3)
            share = (
                part.shape[2] * part.shape[3] / (height * width)
            )  # a coarse cell's, of a fine one
            wide = functional.interpolate(part, size=size, mode="bilinear", align_corners=False)
            heat += wide * share
    most = float(heat.max())
    joined: F32 = (heat[0, 0] / most if most > 0 else heat[0, 0]).numpy()
    return joined


def _deepest(maps: Sequence[Tensor]) -> Tensor:
    """The last map that is not too coarse; the finest, if all are."""
    fine = [one for one in maps if min(one.shape[2:]) >= LEAST_SIDE]
    return fine[-1] if fine else max(maps, key=lambda one: min(one.shape[2:]))


def _meeting(boxes: Tensor, xyxy: Sequence[float]) -> Tensor:
    """The cells whose boxes (A, 4) overlap a box enough; the one that does most, if none does."""
    box = torch.tensor(xyxy)
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    inter = (high - low).clamp(min=0).prod(dim=1)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    iou = inter / (area + (box[2:] - box[:2]).prod() - inter).clamp(min=1e-6)
    enough = (iou >= MEETS_IOU).nonzero()[:, 0]
    return enough if len(enough) else iou.argmax()[None]


def _tensor(picture: U8) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def _with_gradients(net: nn.Module) -> nn.Module:
    """Gradients flow through the whole net, and of its weights only the first has one: it costs nothing more.

    ReLU leaves its input as it is, which hooks have kept.
    """
    for index, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(index == 0)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net.eval()

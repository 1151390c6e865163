"""A net's table by layer: output shape, parameters, memory, multiply-adds, receptive field.

A classifier's net is run on the meta device, where tensors have shapes and no numbers: nothing is computed
and no memory taken. The detector's asks for its device's precision, which meta has not, and runs on the CPU.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vigil.vision.nets.classifier import FAMILIES, build_classifier
from vigil.vision.nets.detector_net import ARCHITECTURES, build

_FLOAT_BYTES = 4
_WHOLE = math.inf  # a receptive field that is the whole picture
_POOLS = {"max_pool2d", "_max_pool2d", "avg_pool2d"}
_MIXES_ALL = {"adaptive_avg_pool2d", "mean"}  # over the whole plane


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, in the order of computing. Numbers are of one picture, in float32."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of the output, without the batch
    parameters: int
    memory_bytes: int  # of the output
    multiply_adds: int
    field_px: int | None  # side of the receptive field; None: the whole picture


@dataclass(frozen=True, slots=True)
class Description:
    """The layers of a net and the input that they are told for."""

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Weights of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def memory_bytes(self) -> int:
        """Outputs of all layers: what training keeps of a picture, at least."""
        return sum(layer.memory_bytes for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Products of all layers for one picture."""
        return sum(layer.multiply_adds for layer in self.layers)


def describe_classifier(
    name: str, *, classes: int = 1000, input_px: int | None = None
) -> Description:
    """The table of a classifier's net, as it is in service: without auxiliary heads."""
    side = FAMILIES[name].input_px if input_px is None and name in FAMILIES else input_px
    with torch.device("meta"):
        net = build_classifier(name, classes=classes, input_px=side)
    assert side is not None
    return describe(name, net.net, (3, side, side), dtype=torch.float32)


def describe_detector(name: str, *, classes: int, input_hw: tuple[int, int]) -> Description:
    """The table of a detector's net of ours."""
    net = build(name, classes=classes)
    return describe(name, net, (3, *input_hw), dtype=torch.uint8)


def knows_net(name: str) -> bool:
    """Whether a net has this name; names joined by + are an ensemble's."""
    return name in ARCHITECTURES or all(part in FAMILIES for part in name.split("+"))


def describe(
    name: str, net: nn.Module, input_shape: tuple[int, int, int], *, dtype: torch.dtype
) -> Description:
    """The table of a net, which is put into evaluation mode."""
    device = next(net.parameters()).device
    meter = _Meter()
    layers: list[Layer] = []
    names = {module: path for path, module in net.named_modules()}
    seen: set[nn.Module] = set()

    def record(module: nn.Module, _: Any, output: Any) -> None:
        multiply_adds = meter.take()
        if isinstance(module, (nn.Identity, nn.Dropout, nn.ReLU, nn.Flatten)):
            return  # computed in place, or not at all in service
        parameters = 0 if module in seen else sum(p.numel() for p in module.parameters())
        seen.add(module)
        layers.append(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                shape=tuple(output.shape[1:]),
                parameters=parameters,
                memory_bytes=output[0].numel() * _FLOAT_BYTES,
                multiply_adds=multiply_adds,
                field_px=meter.field_px(output),
            )
        )

    leaves = [module for module in net.modules() if not any(module.children())]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    net.eval()
    with torch.no_grad(), meter:
        net(torch.zeros(1, *input_shape, dtype=dtype, device=device))
    for hook in hooks:
        hook.remove()
    return Description(name, input_shape, tuple(layers))


class _Field(NamedTuple):
    """The side of what one cell sees and the way between two cells, input pixels."""

    side: float = 1.0
    jump: float = 1.0

    def through(self, kernel: int, stride: int) -> "_Field":
        return _Field(self.side + (kernel - 1) * self.jump, self.jump * stride)


class _Meter(TorchFunctionMode):
    """Follows receptive fields through every function of torch and counts multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[int, _Field] = {}
        self._kept: list[Tensor] = []  # an id is a tensor's only while the tensor lives
        self._multiply_adds = 0

    def take(self) -> int:
        """Multiply-adds since the last time that this was asked."""
        taken, self._multiply_adds = self._multiply_adds, 0
        return taken

    def field_px(self, tensor: Tensor) -> int | None:
        """The side of a tensor's receptive field; None for the whole picture."""
        side = self._fields.get(id(tensor), _Field()).side
        return None if math.isinf(side) else int(side)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function as it was meant, and note what came of it."""
        given = dict(kwargs or {})
        result = func(*args, **given)
        name = getattr(func, "__name__", "")
        if name in {"conv2d", "linear"}:
            weight = args[1] if len(args) > 1 else given["weight"]
            self._multiply_adds += result[0].numel() * weight[0].numel()
        for output in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(output, Tensor):
                self._fields[id(output)] = self._field_after(name, args, given, output)
                self._kept.append(output)
        return result

    def _field_after(
        self, name: str, args: Sequence[Any], given: dict[str, Any], output: Tensor
    ) -> _Field:
        inputs = [tensor for tensor in _tensors(args) if id(tensor) in self._fields]
        if not inputs:
            return _Field()
        field = max((self._fields[id(tensor)] for tensor in inputs), key=lambda f: f.side)
        if name == "conv2d":
            weight = args[1] if len(args) > 1 else given["weight"]
            stride = args[3] if len(args) > 3 else given.get("stride", 1)
            return field.through(weight.shape[2], _one(stride))
        if name in _POOLS:
            kernel = _one(args[1] if len(args) > 1 else given["kernel_size"])
            stride = args[2] if len(args) > 2 else given.get("stride")
            return field.through(kernel, _one(stride) if stride else kernel)
        if name in _MIXES_ALL or (name == "flatten" and output.ndim == 2):
            return _Field(_WHOLE, field.jump)
        if name == "interpolate":
            return _Field(field.side, field.jump * inputs[0].shape[-1] / output.shape[-1])
        return field


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _tensors(value)
    return found


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, (tuple, list)) else value)

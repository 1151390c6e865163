"""The libraries that run imported graphs: ONNX Runtime and OpenVINO, each loaded when it is wanted."""

import importlib
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vigil.data import F32
from vigil.errors import DamagedModel, InvalidConfig, VigilError
from vigil.vision.imported.layouts import Shape

# protobuf: a StringStringEntryProto whose key is "location", which only external tensors have
_EXTERNAL_DATA = b"\x0a\x08location\x12"
_first_use = threading.Lock()


class UnsupportedModel(VigilError):
    """A graph that cannot be imported, and why."""

    code = "FAILED_PRECONDITION"


class Runtime(Protocol):
    """A loaded graph of one picture input."""

    @property
    def input_shape(self) -> Shape:
        """Batch, channels, height, width; None where the graph leaves it open."""

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """By name, in the graph's order."""

    def run(self, pixels: F32) -> dict[str, F32]:
        """The outputs of (B, 3, H, W) float32 pixels."""


class OnnxRuntime:
    """ONNX Runtime. The graph is given as bytes, so it cannot read other files."""

    def __init__(self, path: Path, *, device: str, threads: int) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise InvalidConfig(
                "ONNX models need onnxruntime: pip install 'vigil[peers]'"
            ) from error
        data = path.read_bytes()
        refuse_external_data(path, data)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        if device.startswith("cuda"):
            providers.insert(0, "CUDAExecutionProvider")
        try:
            self._session: Any = onnxruntime.InferenceSession(data, options, providers=providers)
        except Exception as error:  # its exceptions have no common class
            raise DamagedModel(f"{path} does not load in ONNX Runtime: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            found = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise UnsupportedModel(
                f"{path} has the inputs {found}; one picture input (batch, 3, height, width) is "
                "supported: export it without sizes or post-processing inputs"
            )
        self._input = inputs[0].name

    @property
    def input_shape(self) -> Shape:
        """As the graph says it."""
        return _numbers(self._session.get_inputs()[0].shape)

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """As the graph says them."""
        return {o.name: _numbers(o.shape) for o in self._session.get_outputs()}

    def run(self, pixels: F32) -> dict[str, F32]:
        """All outputs, by name."""
        names = [o.name for o in self._session.get_outputs()]
        found = self._session.run(names, {self._input: pixels})
        return {name: np.asarray(o, np.float32) for name, o in zip(names, found, strict=True)}


class OpenVino:
    """OpenVINO, for its own IR (.xml with .bin) and for ONNX."""

    def __init__(
        self, path: Path, *, input_hw: tuple[int, int] | None, threads: int, precision: str
    ) -> None:
        openvino = _openvino()
        if path.suffix == ".onnx":
            refuse_external_data(path, path.read_bytes())
        core: Any = openvino.Core()
        try:
            model = core.read_model(str(path))
            if input_hw is not None:
                model.reshape([1, 3, *input_hw])
            hint = {"bfloat16": "bf16", "float16": "f16"}.get(precision, "f32")
            settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": hint}
            self._model: Any = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise DamagedModel(f"{path} does not load in OpenVINO: {error}") from error
        if len(self._model.inputs) != 1:
            raise UnsupportedModel(f"{path} has {len(self._model.inputs)} inputs; one is supported")
        self._request = self._model.create_infer_request()

    @property
    def input_shape(self) -> Shape:
        """As it was compiled."""
        return _dimensions(self._model.inputs[0])

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """As it was compiled."""
        return {_name(o, i): _dimensions(o) for i, o in enumerate(self._model.outputs)}

    def run(self, pixels: F32) -> dict[str, F32]:
        """All outputs, by name; copies, because the next run writes over them."""
        found = self._request.infer([pixels])
        return {
            _name(o, i): np.array(found[o], np.float32) for i, o in enumerate(self._model.outputs)
        }


def _openvino() -> Any:
    """The library, with a first array converted.

    Two threads whose first arrays come at once wait for each other for ever: one in the binding's own
    first-time guard, wanting Python's lock, the other the reverse (seen with 2026.4).
    """
    with _first_use:
        try:
            openvino: Any = importlib.import_module("openvino")
        except ImportError as error:
            raise InvalidConfig(
                "OpenVINO models need openvino: pip install 'vigil[peers]'"
            ) from error
        openvino.Tensor(np.zeros(1, np.float32))
    return openvino


def refuse_external_data(path: Path, data: bytes) -> None:
    """Raises UnsupportedModel where weights lie in other files, which a hash would not cover."""
    if _EXTERNAL_DATA in data:
        raise UnsupportedModel(f"{path} keeps weights in other files; export it as one file")


def _numbers(shape: list[Any]) -> Shape:
    return tuple(d if isinstance(d, int) and d > 0 else None for d in shape)


def _dimensions(port: Any) -> Shape:
    return tuple(d.get_length() if d.is_static else None for d in port.get_partial_shape())


def _name(port: Any, index: int) -> str:
    names = sorted(port.get_names())
    return str(names[0]) if names else f"output{index}"

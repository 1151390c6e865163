"""Our net beside other runtimes of it: uint8 pictures in, the best boxes out, for `vigil bench engine`.

Every contestant computes the same graph, `TopBoxes`, on the same pictures. Those whose library is not
installed are left out: onnxruntime and openvino are the extra `peers`, nncf, for OpenVINO in 8 bits, `bench`.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vigil.data import U8
from vigil.vision.compiled import CompiledNet
from vigil.vision.compiling import compile_library, plain_net
from vigil.vision.detector import Detector, Precision
from vigil.vision.manifest import Manifest
from vigil.vision.native.building import compile_kernels
from vigil.vision.native.library import native_net, native_precisions
from vigil.vision.native.net import Kernels
from vigil.vision.nets.quantised import can_quantise
from vigil.vision.ranges import load_ranges

BEST = 100  # boxes a picture
_AHEAD = 8  # batches that an asynchronous contestant is given at once


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that runs the net. ``run`` takes batches and returns when all are done."""

    name: str
    precision: str
    run: Callable[[], object]
    frames: int  # that one call infers


class TopBoxes(nn.Module):
    """An `InferenceNet` with its best cells picked out: scores (B, K), classes (B, K), boxes (B, K, 4)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, H, W, 3) uint8 BGR."""
        logits, boxes = self.net(images)
        score, class_id = logits.float().max(dim=2)
        best, cell = score.topk(min(BEST, score.shape[1]), dim=1)
        index = cell[..., None].expand(-1, -1, 4)
        return best.sigmoid(), class_id.gather(1, cell), boxes.gather(1, index)


def contestants(
    manifest: Manifest, batch: U8, *, threads: int, compiled: bool
) -> Iterator[Contestant]:
    """Everything that can run the manifest's net here, one after the other, on ``threads`` threads.

    ``compiled`` says whether to compile ours, both ways, which takes a C++ compiler and half a minute.
    """
    torch.set_num_threads(threads)
    yield from _ours(manifest, batch)
    if compiled:
        yield from _native(manifest, batch)
        yield _compiled(manifest, batch)
    if importlib.util.find_spec("onnxruntime"):
        yield _onnxruntime(manifest, batch, threads)
    if importlib.util.find_spec("openvino"):
        yield from _openvino(manifest, batch, threads)


def _ours(manifest: Manifest, batch: U8) -> Iterator[Contestant]:
    images, forms = torch.from_numpy(batch), [("eager", "bfloat16"), ("packed", "bfloat16")]
    if can_quantise() and load_ranges(manifest) is not None:
        forms.append(("packed", "int8"))
    for form, name in forms:
        precision: Precision = "int8" if name == "int8" else "bfloat16"
        net = (
            TopBoxes(plain_net(manifest, "bfloat16")).eval()
            if form == "eager"
            else TopBoxes(Detector(manifest, precision=precision).net).eval()
        )
        yield Contestant(f"vigil {form}", precision, _inference(net, images), len(batch))


def _inference(net: Callable[[Tensor], object], images: Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return net(images)

    return run


def _compiled(manifest: Manifest, batch: U8) -> Contestant:
    """AOTInductor with frozen weights, as the engine serves it."""
    images = torch.from_numpy(batch)
    with tempfile.TemporaryDirectory(prefix="vigil-compiled-") as folder:
        library = Path(folder) / "net.so"
        compile_library(plain_net(manifest, "bfloat16"), images, library)
        net = CompiledNet({len(batch): library}, input_hw=manifest.input_hw, runners=1)
    run = _inference(TopBoxes(net).eval(), images)
    return Contestant("vigil compiled", "bfloat16", run, len(batch))


def _native(manifest: Manifest, batch: U8) -> Iterator[Contestant]:
    """Our own kernels, in every precision that this processor has."""
    precisions = native_precisions(manifest)
    if not precisions:
        return
    with tempfile.TemporaryDirectory(prefix="vigil-native-") as folder:
        library = Path(folder) / "native.so"
        compile_kernels(library)
        kernels = Kernels(library)
    for precision in precisions:
        net = TopBoxes(native_net(kernels, manifest, precision)).eval()
        yield Contestant(
            "vigil native", precision, _inference(net, torch.from_numpy(batch)), len(batch)
        )


def _onnxruntime(manifest: Manifest, batch: U8, threads: int) -> Contestant:
    onnxruntime: Any = importlib.import_module("onnxruntime")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory(prefix="vigil-onnx-") as folder:
        path = Path(folder) / "net.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the exporter that needs no further package is the old one
            net = TopBoxes(plain_net(manifest, "float32")).eval()
            torch.onnx.export(net, (torch.from_numpy(batch),), path, dynamo=False)
        session = onnxruntime.InferenceSession(path.read_bytes(), options)
    name = session.get_inputs()[0].name
    return Contestant(
        "ONNX Runtime", "float32", lambda: session.run(None, {name: batch}), len(batch)
    )


def _openvino(manifest: Manifest, batch: U8, threads: int) -> Iterator[Contestant]:
    openvino: Any = importlib.import_module("openvino")

    def converted() -> Any:
        net = TopBoxes(plain_net(manifest, "float32")).eval()
        images = torch.from_numpy(batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's tracer, about shapes that do not change
            return openvino.convert_model(net, example_input=images, input=[batch.shape])

    core = openvino.Core()
    models = [("bfloat16", "bf16", converted())]
    if importlib.util.find_spec("nncf"):
        models.append(("int8", "bf16", _nncf(converted(), batch)))
    for precision, rest, model in models:
        for hint in ("LATENCY", "THROUGHPUT"):
            settings = {
                "PERFORMANCE_HINT": hint,
                "INFERENCE_PRECISION_HINT": rest,
                "INFERENCE_NUM_THREADS": threads,
            }
            compiled = core.compile_model(model, "CPU", settings)
            request = compiled.create_infer_request()
            name = f"OpenVINO {hint.lower()}"
            yield Contestant(name, precision, lambda r=request: r.infer([batch]), len(batch))  # type: ignore[misc]
            if hint == "THROUGHPUT":
                pipeline = _Pipeline(openvino.AsyncInferQueue(compiled), batch)
                yield Contestant(f"{name} async", precision, pipeline, _AHEAD * len(batch))


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """Several batches at once, as many beside each other as OpenVINO thinks best."""

    queue: Any
    batch: U8

    def __call__(self) -> None:
        for _ in range(_AHEAD):
            self.queue.start_async([self.batch])
        self.queue.wait_all()


def _nncf(model: Any, batch: U8) -> Any:
    """The model in 8 bits by NNCF's post-training quantisation, its ranges from the batch."""
    os.environ.setdefault("NNCF_LOG_LEVEL", "ERROR")
    nncf: Any = importlib.import_module("nncf")

    with contextlib.redirect_stdout(sys.stderr):  # its progress bars
        return nncf.quantize(model, nncf.Dataset([batch]), subset_size=1)

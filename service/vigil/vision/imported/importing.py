"""Taking in a detector that a site brings: recognised from its graph, written as a model folder."""

import csv
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vigil.errors import InvalidConfig, UnknownModel
from vigil.vision.imported.coco import COCO_CLASSES
from vigil.vision.imported.layouts import LAYOUTS, Context, Layout, Shape, recognise
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import OnnxRuntime, OpenVino, Runtime, UnsupportedModel
from vigil.vision.manifest import Manifest, load_manifest


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the one who imports says; empty: as the graph and its family have it."""

    name: str
    classes: tuple[str, ...] = ()
    layout: str = ""
    pixels: str = ""
    stretch: bool | None = None
    input_hw: tuple[int, int] | None = None
    priors: Path | None = None
    runtime: str = ""  # onnxruntime or openvino; an .xml is always OpenVINO's
    score_threshold: float = 0.3
    nms_iou: float = 0.6
    licence: str = "not stated"


def import_model(file: Path, wishes: Wishes, *, models_dir: Path) -> Manifest:
    """Recognise a graph, copy it into ``models_dir`` with a manifest, and give the manifest.

    Raises UnsupportedModel where the graph is of no known family, or of several and none is wished for;
    the message says what was found and what is supported.
    """
    if not file.is_file():
        raise UnknownModel(f"{file} is not there; name an .onnx file or an OpenVINO .xml")
    if file.suffix == ".xml" and wishes.runtime == "onnxruntime":
        raise InvalidConfig("an .xml is OpenVINO's; ONNX Runtime runs .onnx")
    if file.suffix not in (".onnx", ".xml"):
        raise UnsupportedModel(f"{file.name}: .onnx and OpenVINO's .xml are supported")
    runtime = _open(file, wishes.input_hw)
    input_hw = _input_hw(file, runtime.input_shape, wishes.input_hw)
    context = Context(input_hw, _read_priors(wishes.priors))
    layout = _layout(file, _settled(runtime, input_hw), context, wishes.layout)
    classes = _classes(layout.classes(_settled(runtime, input_hw)), wishes.classes)
    pixels = wishes.pixels or layout.pixels
    if pixels not in PIXELS:
        raise InvalidConfig(f"no pixels {pixels!r}; there are {', '.join(PIXELS)}")
    folder = models_dir / wishes.name
    folder.mkdir(parents=True, exist_ok=True)
    copied = [_copy(file, folder / f"model{file.suffix}")]
    if file.suffix == ".xml":
        copied.append(_copy(file.with_suffix(".bin"), folder / "model.bin"))
    stretch = layout.stretch if wishes.stretch is None else wishes.stretch
    wishes = replace(wishes, pixels=pixels, stretch=stretch, classes=classes, input_hw=input_hw)
    text = _toml(wishes, layout.name, copied, context)
    (folder / "model.toml").write_text(text, encoding="utf-8")
    return load_manifest(wishes.name, models_dir=models_dir)


def _open(file: Path, input_hw: tuple[int, int] | None) -> Runtime:
    if file.suffix == ".xml":
        return OpenVino(file, input_hw=input_hw, threads=1, precision="float32")
    return OnnxRuntime(file, device="cpu", threads=1)


def _settled(runtime: Runtime, input_hw: tuple[int, int]) -> dict[str, Shape]:
    """The outputs' shapes at this input, found by running it where the graph leaves them open."""
    shapes = runtime.output_shapes
    if all(None not in shape for shape in shapes.values()):
        return shapes
    found = runtime.run(np.zeros((1, 3, *input_hw), np.float32))
    return {name: tuple(output.shape) for name, output in found.items()}


def _input_hw(file: Path, shape: Shape, wished: tuple[int, int] | None) -> tuple[int, int]:
    if len(shape) != 4 or shape[1] not in (3, None):
        raise UnsupportedModel(f"{file.name} takes {shape}; (batch, 3, height, width) is supported")
    height, width = shape[2:]
    if height is not None and width is not None:
        if wished is not None and wished != (height, width):
            raise InvalidConfig(f"{file.name} takes {width}×{height} and no other size")
        return height, width
    if wished is None:
        raise InvalidConfig(f"{file.name} takes any size; say one with --height and --width")
    return wished


def _layout(file: Path, outputs: dict[str, Shape], context: Context, wished: str) -> Layout:
    fitting = recognise(outputs, context)
    if wished:
        fitting = [layout for layout in fitting if layout.name == wished]
    if len(fitting) == 1:
        return fitting[0]
    found = ", ".join(f"{name} {list(shape)}" for name, shape in outputs.items())
    known = ", ".join(layout.name for layout in LAYOUTS)
    if not fitting:
        raise UnsupportedModel(
            f"{file.name} has the outputs {found}, which are not of "
            f"{wished or 'any family that is supported'} ({known}; ssd_priors needs --priors)"
        )
    names = ", ".join(layout.name for layout in fitting)
    raise UnsupportedModel(
        f"{file.name} has the outputs {found}: {names} fit; choose with --layout"
    )


def _classes(count: int, wished: Sequence[str]) -> tuple[str, ...]:
    if wished:
        if count and len(wished) != count:
            raise InvalidConfig(f"{len(wished)} class names for a graph of {count} classes")
        return tuple(wished)
    if count == len(COCO_CLASSES):
        return COCO_CLASSES
    if count == 1:
        return ("person",)
    raise InvalidConfig(f"say the names of the {count or 'graph’s'} classes with --classes")


def _read_priors(path: Path | None) -> tuple[tuple[float, float], ...]:
    if path is None:
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return tuple((float(row["width_px"]), float(row["height_px"])) for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise InvalidConfig(f"{path}: {error!r}; expected columns width_px,height_px") from error


def _copy(source: Path, target: Path) -> tuple[str, str]:
    if not source.is_file():
        raise UnknownModel(f"{source} is not there; an OpenVINO model is an .xml beside a .bin")
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)
    return target.name, hashlib.sha256(target.read_bytes()).hexdigest()


def _toml(settled: Wishes, layout: str, copied: Sequence[tuple[str, str]], context: Context) -> str:
    """The manifest's text; ``settled`` has nothing left open."""
    assert settled.input_hw is not None
    classes = settled.classes
    more = "".join(f"{json.dumps(name)} = {json.dumps(digest)}\n" for name, digest in copied[1:])
    priors = json.dumps([list(prior) for prior in context.priors_px])
    by_suffix = "openvino" if copied[0][0].endswith(".xml") else "onnxruntime"
    runtime = settled.runtime or by_suffix
    height, width = settled.input_hw
    return (
        f"name = {json.dumps(settled.name)}\narchitecture = {json.dumps(layout)}\n"
        f'task = "detection"\nclasses = {json.dumps(list(classes), ensure_ascii=False)}\n'
        f"input_height_px = {height}\ninput_width_px = {width}\n"
        f"score_threshold = {json.dumps([settled.score_threshold] * len(classes))}\n"
        f"nms_iou = {settled.nms_iou}\nweights = {json.dumps(copied[0][0])}\n"
        f"weights_sha256 = {json.dumps(copied[0][1])}\n"
        f"licence = {json.dumps(settled.licence, ensure_ascii=False)}\n"
        f"[imported]\nruntime = {json.dumps(runtime)}\nlayout = {json.dumps(layout)}\n"
        f"pixels = {json.dumps(settled.pixels)}\nstretch = {json.dumps(settled.stretch)}\n"
        f"priors_px = {priors}\n[imported.more_files]\n{more}"
    )

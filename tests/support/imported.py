"""An imported model whose answers are known: a graph that says the same boxes of every picture."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vigil.data import F32
from vigil.vision.imported.importing import Wishes, import_model
from vigil.vision.manifest import Manifest

INPUT_HW = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3  # strides 8, 16 and 32
CLASSES = ("bird", "car", "bus", "truck")


def install_imported_model(folder: Path, name: str, *, stretch: bool = False) -> Manifest:
    """A graph of the YOLOv8 family: a bird at (24, 16, 48, 32) input pixels; what is a car or a bus."""
    table = np.zeros((1, 4 + len(CLASSES), CELLS), np.float32)
    table[0, :4, 0], table[0, 4, 0] = (36, 24, 24, 16), 0.9  # centre, size; bird
    table[0, :4, 1], table[0, 5:, 1] = (72, 40, 20, 20), (0.6, 0.7, 0.0)
    source = write_graph(folder / f"{name}.onnx", table, input_hw=INPUT_HW)
    wishes = Wishes(name=name, classes=CLASSES, stretch=stretch, licence="made for a test")
    return import_model(source, wishes, models_dir=folder)


def write_graph(path: Path, table: F32, *, input_hw: tuple[int, int]) -> Path:
    """An ONNX graph that answers every picture with ``table``. Returns its path."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "nothing"], ["zero"]),
            helper.make_node("Add", ["table", "zero"], ["output0"]),
        ],
        "known",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *input_hw])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(table.shape))],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.float32(0.0), "nothing"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))
    return path

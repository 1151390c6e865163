from pathlib import Path

import numpy as np
import pytest

from vigil.errors import DamagedModel, InvalidConfig, UnknownModel
from vigil.vision.imported.coco import COCO_CLASSES
from vigil.vision.imported.detector import detections_of
from vigil.vision.imported.importing import Wishes, import_model
from vigil.vision.imported.layouts import Candidates, Context, Shape, layout_named, recognise
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import UnsupportedModel, refuse_external_data

HW = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3
CONTEXT = Context(HW)
TEACHERS = Path(__file__).resolve().parents[4] / "shared" / "models"


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ({"output": (1, CELLS, 85)}, "yolox"),
        ({"output0": (1, 3 * CELLS, 85)}, "yolov5"),
        ({"output0": (1, 84, CELLS)}, "yolov8"),
        ({"output0": (1, 300, 6)}, "end2end"),
        ({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, "detr"),
        ({"dets": (1, 300, 4), "labels": (1, 300, 91)}, "detr"),
        ({"detection_out": (1, 1, 200, 7)}, "ssd"),
        ({"758": (1, 85, 4, 6)}, "fastestdet"),
    ],
)
def test_families_are_recognised_by_their_outputs(outputs: dict[str, Shape], name: str) -> None:
    assert [layout.name for layout in recognise(outputs, CONTEXT)] == [name]


def test_what_is_of_no_family_is_not_recognised() -> None:
    assert recognise({"probabilities": (1, 1000)}, CONTEXT) == []
    assert recognise({"a": (1, 7, 9, 9)}, CONTEXT) == []


def test_yolox_terms_become_boxes() -> None:
    table = np.full((1, CELLS, 7), 0.0, np.float32)
    row = 96 + 6 + 2  # stride 16, second row, third column
    table[0, row] = [0.5, 0.25, np.log(2.0), np.log(4.0), 0.5, 0.0, 0.8]
    found = layout_named("yolox").decode({"output": table}, CONTEXT)
    assert np.allclose(
        found.xyxy[row], [2.5 * 16 - 16, 1.25 * 16 - 32, 2.5 * 16 + 16, 1.25 * 16 + 32]
    )
    assert np.allclose(found.scores[row], [0.0, 0.4])


def test_columns_of_yolov8_are_cells() -> None:
    table = np.zeros((1, 6, CELLS), np.float32)
    table[0, :, 7] = [30, 20, 10, 8, 0.1, 0.9]
    found = layout_named("yolov8").decode({"output0": table}, CONTEXT)
    assert found.xyxy[7].tolist() == [25, 16, 35, 24]
    assert np.allclose(found.scores[7], [0.1, 0.9])


def test_detr_boxes_are_relative_and_scores_are_sigmoids() -> None:
    outputs = {
        "pred_boxes": np.array([[[0.5, 0.5, 0.5, 0.25]]], np.float32),
        "logits": np.array([[[0.0, -20.0]]], np.float32),
    }
    found = layout_named("detr").decode(outputs, CONTEXT)
    assert found.xyxy.tolist() == [[24, 24, 72, 40]]
    assert np.allclose(found.scores, [[0.5, 0.0]], atol=1e-6)


def test_an_ssd_list_ends_at_image_minus_one() -> None:
    rows = np.zeros((1, 1, 4, 7), np.float32)
    rows[0, 0, 0] = [0, 2, 0.9, 0.25, 0.5, 0.5, 1.0]
    rows[0, 0, 1, 0] = -1
    rows[0, 0, 2] = [0, 1, 0.9, 0, 0, 1, 1]
    found = layout_named("ssd").decode({"detection_out": rows}, CONTEXT)
    assert found.xyxy.tolist() == [[24, 32, 48, 64]]
    assert np.allclose(found.scores, [[0.0, 0.9]])


def test_raw_ssd_heads_need_their_priors() -> None:
    outputs: dict[str, Shape] = {"a": (1, 4, 6, 8), "b": (1, 4, 6, 4)}
    assert recognise(outputs, CONTEXT) == []
    context = Context(HW, ((10.0, 20.0), (30.0, 40.0)))
    assert [layout.name for layout in recognise(outputs, context)] == ["ssd_priors"]
    terms = np.zeros((1, 4, 6, 8), np.float32)
    terms[0, 1, 2, 4:] = [1.0, -1.0, 0.0, 5 * np.log(2.0)]  # the second prior of a cell
    scores = np.zeros((1, 4, 6, 4), np.float32)
    scores[0, 1, 2, 2:] = [0.0, np.log(3.0)]
    found = layout_named("ssd_priors").decode({"a": terms, "b": scores}, context)
    row = (1 * 6 + 2) * 2 + 1
    centre_x, centre_y = 40 + 3, 24 - 4
    assert np.allclose(
        found.xyxy[row], [centre_x - 15, centre_y - 40, centre_x + 15, centre_y + 40]
    )
    assert np.allclose(found.scores[row], [0.75])


def test_only_named_classes_are_detected() -> None:
    found = Candidates(
        xyxy=np.array([[0, 0, 10, 10]], np.float32), scores=np.array([[0.2, 0.9, 0.95]], np.float32)
    )
    detections = detections_of(found, classes=2, score_floor=0.3, nms_iou=0.5)
    assert detections.class_id.tolist() == [1]


def test_pixels_are_ordered_and_scaled() -> None:
    batch = np.zeros((1, 2, 2, 3), np.uint8)
    batch[..., 0], batch[..., 2] = 255, 51  # blue, red
    assert PIXELS["rgb1"].of(batch)[0, :, 0, 0].tolist() == pytest.approx([0.2, 0.0, 1.0])
    assert PIXELS["bgr255"].of(batch)[0, :, 0, 0].tolist() == [255, 0, 51]


def test_weights_in_other_files_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="other files"):
        refuse_external_data(Path("m.onnx"), b"...\x0a\x08location\x12\x0bweights.bin")
    refuse_external_data(Path("m.onnx"), b"location of nothing")


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'peers' is not installed")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a graph")
    with pytest.raises(DamagedModel, match="does not load"):
        import_model(bad, Wishes(name="bad"), models_dir=tmp_path)
    with pytest.raises(UnsupportedModel, match=r"\.onnx and OpenVINO"):
        import_model(Path(__file__), Wishes(name="bad"), models_dir=tmp_path)
    with pytest.raises(UnknownModel, match="is not there"):
        import_model(tmp_path / "none.onnx", Wishes(name="bad"), models_dir=tmp_path)


@pytest.mark.data
def test_the_field_nets_import(tmp_path: Path) -> None:
    if not TEACHERS.is_dir():
        pytest.skip("../shared/models is absent")
    pytest.importorskip("onnxruntime", reason="the extra 'peers' is not installed")
    yolox = import_model(
        TEACHERS / "yolox_nano" / "yolox_nano.onnx", Wishes(name="yolox"), models_dir=tmp_path
    )
    assert (yolox.architecture, yolox.input_hw, yolox.classes) == (
        "yolox",
        (416, 416),
        COCO_CLASSES,
    )
    retail = TEACHERS / "person-detection-retail-0013"
    file = retail / "person-detection-retail-0013.onnx"
    with pytest.raises(InvalidConfig, match="--height"):
        import_model(file, Wishes(name="retail"), models_dir=tmp_path)
    wishes = Wishes(name="retail", input_hw=(320, 544), priors=retail / "priors.csv")
    manifest = import_model(file, wishes, models_dir=tmp_path)
    assert manifest.classes == ("person",)
    assert manifest.imported is not None
    assert len(manifest.imported.priors_px) == 12

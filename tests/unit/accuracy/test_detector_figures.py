from pathlib import Path

import cv2
import numpy as np
import pytest

from vigil.accuracy.detector import figures_of
from vigil.accuracy.detector_video import evaluate_motion_blobs, evaluate_video, read_mot
from vigil.accuracy.mot import UnreadableBoxes
from vigil.data import U8, Detections
from vigil.errors import UnreadableImage
from vigil.training.labels import Truth

BOX = [10.0, 10.0, 30.0, 50.0]


def truth(source: str, boxes: list[list[float]], classes: list[int], annotated: set[int]) -> Truth:
    return Truth(
        path=Path("x"),
        source=source,
        xyxy_px=np.array(boxes, np.float32).reshape(-1, 4),
        class_id=np.array(classes, np.int64),
        annotated=frozenset(annotated),
    )


def found(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        xyxy=np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        score=np.array([r[1] for r in rows], np.float32),
        class_id=np.array([r[2] for r in rows], np.int64),
    )


def test_what_people_did_not_label_is_not_judged() -> None:
    figures = figures_of(
        [truth("cctv", [BOX, BOX], [0, 2], {0})], [found((BOX, 0.9, 0), (BOX, 0.9, 3))]
    )
    assert list(figures.sources["cctv"]) == ["person"]
    assert figures.sources["cctv"]["person"].ap50 == 1.0


def test_a_typed_box_on_a_vehicle_of_unknown_type_is_false() -> None:
    other = [60.0, 60.0, 90.0, 90.0]
    figures = figures_of(
        [truth("oi", [BOX, other], [6, 2], {2, 6})], [found((BOX, 0.9, 2), (other, 0.8, 2))]
    )
    assert list(figures.sources["oi"]) == ["car"]
    assert figures.sources["oi"]["car"].ap50 == pytest.approx(0.5)


def test_vehicles_are_one_class_where_types_are_not_labelled() -> None:
    figures = figures_of(
        [truth("topview", [BOX], [6], {6})],
        [found((BOX, 0.9, 5), (BOX, 0.8, 2), (BOX, 0.7, 3))],
        thresholds=[0.5] * 6,
    )
    vehicle = figures.sources["topview"]["vehicle"]
    assert vehicle.ap50 == 1.0
    assert vehicle.error_operating == 0.0


def test_weak_boxes_are_left_out() -> None:
    figures = figures_of([truth("a", [BOX], [0], {0})], [found((BOX, 0.01, 0))])
    assert figures.sources["a"]["person"].ap50 == 0.0


def test_figures_are_plain_json() -> None:
    figures = figures_of([truth("a", [BOX], [0], {0})], [found((BOX, 0.9, 0))])
    assert figures.as_json()["a"]["person"] == {
        "ap50": 1.0, "ap50_95": 1.0, "error": 0.0, "error_operating": None, "n": 1, "threshold": 0.9
    }  # fmt: skip


class Whites:
    """Finds the white box of the tests' video."""

    name = "whites"

    def find(self, image_bgr: U8) -> Detections:
        ys, xs = np.nonzero(image_bgr[..., 0] > 180)
        box = [float(xs.min()), float(ys.min()), float(xs.max()) + 1, float(ys.max()) + 1]
        return found((box, 0.8, 0), (box, 0.9, 2))


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, Path]:
    """A white box that walks over grey, 41 frames, and its truth."""
    video, labels = tmp_path / "walk.avi", tmp_path / "walk.mot.txt"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (160, 120))
    rows = []
    for i in range(41):
        image = np.full((120, 160, 3), 60, np.uint8)
        image[40:80, 10 + 3 * i : 26 + 3 * i] = 255
        writer.write(image)
        rows.append(f"{i + 1},1,{10 + 3 * i},40,16,40,1,-1,-1,-1")
    writer.release()
    labels.write_text("\n".join(rows))
    return video, labels


def test_a_video_counts_every_fifth_frame(clip: tuple[Path, Path]) -> None:
    seen: list[int] = []
    figures = evaluate_video(Whites(), *clip, threshold=0.5, advance=seen.append)
    assert sum(seen) == 9  # 1, 6, … 41
    assert figures.ap50 == pytest.approx(1.0)
    assert figures.error == 0.0
    assert figures.error_operating == 0.0


def test_motion_blobs_find_what_moves(clip: tuple[Path, Path]) -> None:
    figures = evaluate_motion_blobs(*clip)
    assert figures.recall > 0.3


def test_truth_and_video_must_be_readable(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("1,2,three\n")
    with pytest.raises(UnreadableBoxes, match="frame,id,left,top,width,height"):
        read_mot(bad)
    labels = tmp_path / "good.txt"
    labels.write_text("1,1,0,0,5,5\n")
    with pytest.raises(UnreadableImage, match="does not open"):
        evaluate_video(Whites(), bad, labels)

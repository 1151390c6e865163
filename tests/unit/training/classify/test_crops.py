"""Crops of a labelled set's boxes: which, where, and in whose group."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vigil.cli import main
from vigil.training.classify.crops import TABLE, CropPolicy, cut_crops
from vigil.training.classify.examples import read_examples
from vigil.training.labels import UnusableDataSet

LABELS = {  # class, cx, cy, w, h: 2 car, 4 bus
    "one": ["2 0.25 0.5 0.4 0.5", "4 0.75 0.5 0.3 0.5", "2 0.9 0.9 0.05 0.05"],
    "two": ["2 0.5 0.5 0.5 0.5"],
    "three": ["4 0.5 0.5 0.5 0.5", "2 0.5 0.5 0.9 0.9"],  # people labelled no cars here
}


@pytest.fixture
def labelled_set(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    rows = ["file,source,width,height,boxes,annotated_classes,licence"]
    for name, lines in LABELS.items():
        image = np.full((200, 200, 3), 30, np.uint8)
        image[:, :100] = 200
        cv2.imwrite(str(root / "images" / f"{name}.png"), image)
        (root / "labels" / f"{name}.txt").write_text("\n".join(lines))
        annotated = "bus" if name == "three" else "car+bus"
        rows.append(f"{name}.png,street,200,200,{len(lines)},{annotated},none")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def listed(out: Path) -> list[tuple[str, str, str]]:
    with (out / TABLE).open(newline="") as file:
        return [(row["file"], row["class"], row["group"]) for row in csv.DictReader(file)]


def test_boxes_that_people_labelled_are_cut_with_their_margin(
    labelled_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "crops"
    counts = cut_crops(labelled_set, out, CropPolicy(("car", "bus"), least_px=20))
    assert counts == {"car": 2, "bus": 2}
    assert sorted(row[1:] for row in listed(out)) == [
        ("bus", "one"),
        ("bus", "three"),
        ("car", "one"),
        ("car", "two"),
    ]
    crop = cv2.imread(str(out / "car" / "street_one_0.webp"))
    assert crop.shape == (120, 100, 3), "80 px wide and 100 high, a tenth of that around it"
    assert crop[60, 5].min() > 150


def test_no_picture_is_on_both_sides_of_a_split(labelled_set: Path, tmp_path: Path) -> None:
    cut_crops(labelled_set, tmp_path / "crops", CropPolicy(("car", "bus"), least_px=20))
    data = read_examples(tmp_path / "crops" / TABLE)
    assert data.classes == ("bus", "car")
    assert {e.group for e in data.examples} == {"one", "two", "three"}


def test_a_lot_decides_where_there_are_too_many_and_another_set_is_added(
    labelled_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "crops"
    policy = CropPolicy(("bus",), least_px=20, most_a_class=1)
    assert cut_crops(labelled_set, out, policy) == {"bus": 1}
    assert cut_crops(labelled_set, out, CropPolicy(("car",), least_px=20)) == {"car": 2}
    assert cut_crops(labelled_set, out, CropPolicy(("car",), least_px=20)) == {"car": 2}
    assert len(listed(out)) == 3, "what is cut again is listed once"


def test_what_cannot_be_cut_is_said(labelled_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableDataSet, match="van"):
        cut_crops(labelled_set, tmp_path, CropPolicy(("van",)))
    (labelled_set / "images" / "two.png").write_bytes(b"no picture")
    with pytest.raises(UnusableDataSet, match=r"two\.png"):
        cut_crops(labelled_set, tmp_path, CropPolicy(("car",)))


def test_the_command_says_how_many_and_where(labelled_set: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["train", "crops", "--data", str(labelled_set), "--out", str(tmp_path / "c"), "--class",
         "bus", "--least-px", "20"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "bus: 2" in result.output
    assert str(tmp_path / "c" / TABLE) in result.output

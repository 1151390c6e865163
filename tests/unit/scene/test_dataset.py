"""The rendered training set has the layout of the labelled data."""

import csv
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from vigil.scene.camera import Camera
from vigil.scene.compose import SceneObject
from vigil.scene.dataset import label_lines, main, write_training_set
from vigil.scene.still import Still, render_still


def test_the_layout_is_that_of_the_labelled_data(tmp_path: Path) -> None:
    boxes = write_training_set(tmp_path, 3, 40)
    with (tmp_path / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"scene_{1000040 + i}.webp" for i in range(3)]
    assert {row["annotated_classes"] for row in rows} == {"person+bicycle+car+motorcycle+bus+truck"}
    assert {row["rights"] for row in rows} == {"stated"}
    assert (tmp_path / "classes.txt").read_text().split()[:2] == ["person", "bicycle"]
    assert sum(int(row["boxes"]) for row in rows) == boxes
    for row in rows:
        image = cv2.imread(str(tmp_path / "images" / row["file"]))
        assert image is not None
        assert image.shape[:2] == (int(row["height"]), int(row["width"]))
        label = (tmp_path / "labels" / row["file"]).with_suffix(".txt").read_text().splitlines()
        assert len(label) == int(row["boxes"])
        for line in label:
            name, *cxcywh = line.split()
            assert 0 <= int(name) < 6
            assert all(0.0 <= float(n) <= 1.0 for n in cxcywh)


def test_the_same_seed_gives_the_same_picture() -> None:
    once, again = (render_still(1_000_007, width_px=256, height_px=144) for _ in range(2))
    assert (once.image == again.image).all()
    assert once.objects == again.objects


def test_hidden_and_tiny_objects_are_not_labelled() -> None:
    image = render_still(5, width_px=200, height_px=100).image
    things = [
        SceneObject(1, "person", (0.1, 0.1, 0.3, 0.5), 0.9, 1.0),
        SceneObject(2, "person", (0.1, 0.1, 0.3, 0.5), 0.1, 1.0),
        SceneObject(3, "car", (0.1, 0.1, 0.3, 0.12), 1.0, 1.0),
    ]
    assert label_lines(Still(image, things)) == ["0 0.20000 0.30000 0.20000 0.40000"]


def test_a_seed_beyond_the_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="range"):
        write_training_set(tmp_path, 10, 999_995)


def test_the_command_renders_the_test_side(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path), "--count", "1", "--side", "test"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "images" / "scene_0000000.webp").exists()


def test_the_camera_finds_the_ground_behind_its_pixels() -> None:
    camera = Camera(640, 360, focal_px=500.0, height_m=5.0, pitch_rad=0.45)
    for place in ((0.0, 8.0), (-3.0, 12.0), (4.0, 25.0)):
        assert camera.ground(*camera.pixel(*place)) == pytest.approx(place, abs=1e-2)
    assert camera.pixel(0.0, 1e7)[1] == pytest.approx(camera.horizon_px, abs=0.1)

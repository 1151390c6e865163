from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.classify.crops import CLASSES, write_folders
from vigil.training.classify.examples import (
    Example,
    ExampleSet,
    read_archive,
    read_calibration,
    read_examples,
    read_pixels,
    split_by_group,
)
from vigil.training.labels import UnusableDataSet
from vigil.vision.crop import square

CIFAR = Path(__file__).parents[5] / "shared" / "data" / "cifar10" / "cifar10_subset.npz"


def test_a_folder_is_a_class_and_a_pattern_names_the_camera(tmp_path: Path) -> None:
    data = read_examples(write_folders(tmp_path), group_pattern=r"^(cam\d+)")
    assert data.classes == CLASSES
    assert {example.group for example in data.examples} == {"cam0", "cam1", "cam2", "cam3"}
    assert np.bincount(data.labels).tolist() == [8, 8, 8]


def test_no_camera_is_on_both_sides_of_a_split(tmp_path: Path) -> None:
    data = read_examples(write_folders(tmp_path), group_pattern=r"^(cam\d+)")
    training, validation = split_by_group(data, val_share=0.25, seed=1)
    assert not {e.group for e in training.examples} & {e.group for e in validation.examples}
    assert len(validation.examples) == 6
    assert len(training.examples) + len(validation.examples) == 24


def test_a_rare_class_is_in_both_parts() -> None:
    common = [Example(f"c{i}", 0, f"c{i}") for i in range(200)]
    rare = [Example(f"r{i}", 1, f"r{i}") for i in range(4)]
    data = ExampleSet(("common", "rare"), tuple(common + rare))
    training, validation = split_by_group(data, val_share=0.25, seed=5)
    assert np.bincount(validation.labels).tolist() == [50, 1]
    assert np.bincount(training.labels).tolist() == [150, 3]


def test_one_camera_cannot_be_split(tmp_path: Path) -> None:
    data = read_examples(write_folders(tmp_path, cameras=1), group_pattern=r"^(cam\d+)")
    with pytest.raises(UnusableDataSet, match="another camera"):
        split_by_group(data, val_share=0.2, seed=1)


def test_the_half_to_calibrate_by_is_the_same_in_every_run_and_shares_no_camera(
    tmp_path: Path,
) -> None:
    root = write_folders(tmp_path, cameras=4)
    camera = r"^(cam\d+)"
    fitted, judged = read_calibration(root, CLASSES, group_pattern=camera)
    assert {e.group for e in fitted.examples} | {e.group for e in judged.examples} == {
        f"cam{i}" for i in range(4)
    }
    assert not {e.group for e in fitted.examples} & {e.group for e in judged.examples}
    assert read_calibration(root, CLASSES, group_pattern=camera) == (fitted, judged)
    with pytest.raises(UnusableDataSet, match="what is learnt has above, below"):
        read_calibration(root, ("above", "below"))
    with pytest.raises(UnusableDataSet, match=r"a half of .* has no above, below, level"):
        read_calibration(root, CLASSES, group_pattern="^(cam)")


def test_a_csv_is_read_with_its_groups(tmp_path: Path) -> None:
    write_folders(tmp_path / "p")
    path = tmp_path / "crops.csv"
    path.write_text("file,class,group\np/above/cam0_0.png,up,a\np/below/cam0_0.png,down,b\n")
    data = read_examples(path)
    assert data.classes == ("down", "up")
    assert [(e.label, e.group) for e in data.examples] == [(1, "a"), (0, "b")]
    assert read_pixels(data, input_px=20).shape == (2, 20, 20, 3)


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableDataSet, match="folder of pictures for each class"):
        read_examples(tmp_path)
    (tmp_path / "bad.csv").write_text("name\nx\n")
    with pytest.raises(UnusableDataSet, match="columns file and class"):
        read_examples(tmp_path / "bad.csv")
    write_folders(tmp_path / "p")
    with pytest.raises(UnusableDataSet, match="no parentheses"):
        read_examples(tmp_path / "p", group_pattern="cam")
    (tmp_path / "p" / "above" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UnusableDataSet, match=r"broken\.png"):
        read_pixels(read_examples(tmp_path / "p"), input_px=20)


def test_a_square_keeps_the_aspect() -> None:
    out = square(np.full((10, 40, 3), 255, np.uint8), side_px=20)
    assert out.shape == (20, 20, 3)
    assert (out[8:12] == 255).all()
    assert (out[:7] == 114).all()


@pytest.mark.data
@pytest.mark.skipif(not CIFAR.is_file(), reason="the labelled data is not beside the checkout")
def test_the_cifar_subset_is_read() -> None:
    data = read_archive(CIFAR, part="test")
    assert len(data.examples) == 5000
    assert "airplane" in data.classes
    assert read_pixels(data.only(data.examples[:3]), input_px=32).std() > 10

import gzip
from pathlib import Path

import numpy as np
import pytest

from vigil.training.labels import (
    LabelPolicy,
    UnusableDataSet,
    annotated_ids,
    read_pictures,
    read_truth,
)

HEADER = "file,source,width,height,boxes,annotated_classes,licence,rights\n"
TEACHER = "file,class,p,p_class,cx,cy,w,h\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    return tmp_path


def write(data: Path, source: str, annotated: str, labels: str, teachers: str = "") -> None:
    (data / "manifest.csv").write_text(
        HEADER + f"a.webp,{source},100,80,1,{annotated},CC BY 4.0,stated\n"
    )
    (data / "labels" / "a.txt").write_text(labels)
    with gzip.open(data / "teacher_boxes.csv.gz", "wt") as file:
        file.write(TEACHER + teachers)


def test_human_boxes_are_positives_and_doubtful_teachers_ignored(data: Path) -> None:
    write(
        data,
        "cctv",
        "person",
        "0 0.5 0.5 0.2 0.4\n",
        "a.webp,2,0.8,1.0,0.2,0.2,0.1,0.1\n"  # a car, sure: positive
        "a.webp,2,0.2,1.0,0.7,0.2,0.1,0.1\n"  # a car, perhaps: ignored
        "a.webp,2,0.05,1.0,0.9,0.9,0.1,0.1\n"  # hardly: nothing
        "a.webp,0,0.9,1.0,0.5,0.5,0.2,0.4\n"  # the person that people saw: nothing
        "a.webp,0,0.9,1.0,0.1,0.8,0.1,0.2\n",  # a person that people did not see: ignored
    )
    (picture,) = read_pictures(data)
    assert picture.class_id.tolist() == [0, 2]
    assert np.allclose(picture.boxes[0], [0.4, 0.3, 0.6, 0.7])
    assert sorted(picture.ignore_class.tolist()) == [0, 2]
    assert np.allclose(picture.ignore_boxes[picture.ignore_class == 2][0, :2], [0.65, 0.15])


def test_thresholds_of_teachers_are_the_policys(data: Path) -> None:
    write(data, "cctv", "person", "", "a.webp,2,0.45,1.0,0.2,0.2,0.1,0.1\n")
    (picture,) = read_pictures(data, LabelPolicy(positive_p=0.5))
    assert picture.class_id.tolist() == []
    assert picture.ignore_class.tolist() == [2]


def test_objects_of_classes_that_people_did_not_label_are_not_truth(data: Path) -> None:
    write(data, "cctv", "person", "0 0.5 0.5 0.2 0.4\n2 0.2 0.2 0.1 0.1\n")
    (picture,) = read_pictures(data)
    assert picture.class_id.tolist() == [0]


def test_voc_says_nothing_of_trucks(data: Path) -> None:
    write(data, "voc2007", "person+bicycle+car+motorcycle+bus", "0 0.5 0.5 0.2 0.4\n")
    (picture,) = read_pictures(data)
    assert picture.ignore_class.tolist() == [5]
    assert picture.ignore_boxes.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_vehicles_of_unknown_type_cover_every_type(data: Path) -> None:
    write(data, "topview", "vehicle", "6 0.5 0.5 0.2 0.2\n", "a.webp,2,0.9,1.0,0.1,0.1,0.1,0.1\n")
    (picture,) = read_pictures(data)
    assert picture.class_id.tolist() == [6]  # the teacher's car is one that people did not see
    assert picture.ignore_class.tolist() == [2]


def test_manaus_people_are_positives_and_teachers_add_to_them(data: Path) -> None:
    write(
        data,
        "manaus",
        "car",
        "0 0.5 0.5 0.2 0.4\n",
        "a.webp,0,0.9,1.0,0.5,0.5,0.2,0.4\na.webp,0,0.9,1.0,0.1,0.8,0.1,0.2\n",
    )
    (picture,) = read_pictures(data)
    assert picture.class_id.tolist() == [0, 0]


def test_rights_choose_pictures(data: Path) -> None:
    write(data, "cctv", "person", "")
    assert len(read_pictures(data, LabelPolicy(rights=("stated", "flickr")))) == 1
    assert read_pictures(data, LabelPolicy(rights=("flickr",))) == []


def test_truth_is_what_people_say_in_pixels(data: Path) -> None:
    write(data, "cctv", "person+vehicle", "0 0.5 0.5 0.2 0.4\n")
    (truth,) = read_truth(data)
    assert truth.annotated == {0, 6}
    assert np.allclose(truth.xyxy_px, [[40, 24, 60, 56]], atol=1e-4)


def test_unusable_sets_say_what_is_missing(data: Path) -> None:
    with pytest.raises(UnusableDataSet, match=r"manifest\.csv is missing"):
        read_pictures(data)
    write(data, "cctv", "person", "0 0.5 zero 0.2 0.4\n")
    with pytest.raises(UnusableDataSet, match="expected 'class cx cy w h'"):
        read_pictures(data)
    assert annotated_ids("") == frozenset()


@pytest.mark.data
def test_the_training_set_reads_as_described() -> None:
    root = Path(__file__).resolve().parents[4] / "shared" / "data" / "train"
    if not root.is_dir():
        pytest.skip("../shared/data/train is absent")
    pictures = read_pictures(root)
    assert len(pictures) == 13287
    voc = [p for p in pictures if p.source.startswith("voc")]
    assert len(voc) == 2480
    assert all(5 in p.ignore_class for p in voc)
    assert all(len(p.ignore_class) == 0 for p in pictures if p.source == "coco_part")

"""Teachers: a graph of the YOLOX family that sees one object in every picture, and a net of our own."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from tests.support.imported import write_graph
from tests.unit.training.tiny import recipe, write_set
from vigil.scene.still import render_still
from vigil.training.labels import UnusableDataSet
from vigil.training.loop import RunPlace, Settings, Trainer, open_source
from vigil.training.losses import lesson_loss
from vigil.training.recipe import Recipe, TeacherChoice
from vigil.training.teacher import Lessons, Teacher
from vigil.vision.imported.importing import Wishes, import_model
from vigil.vision.manifest import default_models_dir, load_manifest
from vigil.vision.nets.detector_net import Predictions, cells
from vigil.vision.weights import load_net

pytest.importorskip("openvino", reason="the extra 'peers' is not installed")
HW = (64, 64)
CELL = 64 + 5  # of stride 16: second row, second column
CLASSES = ("car", "person")
OWN = "vigil-det-n"


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> TeacherChoice:
    """A person of 32 by 64 px whose centre is (24, 32), in one cell, with a score of 0.72."""
    folder = tmp_path_factory.mktemp("teacher")
    table = np.zeros((1, 64 + 16 + 4, 5 + len(CLASSES)), np.float32)
    table[0, CELL] = [0.5, 1.0, np.log(2.0), np.log(4.0), 0.9, 0.0, 0.8]
    graph = write_graph(folder / "t.onnx", table, input_hw=HW)
    wishes = Wishes(name="sees-one", classes=CLASSES, layout="yolox")
    import_model(graph, wishes, models_dir=folder)
    return TeacherChoice(model="sees-one", models_dir=str(folder), classes=("person", "car"))


def test_it_speaks_of_the_cells_of_our_nets(choice: TeacherChoice) -> None:
    said = Teacher(choice).lessons(torch.zeros((2, *HW, 3), dtype=torch.uint8))
    assert said.image.tolist() == [0, 1]
    assert said.cell.tolist() == [CELL, CELL]
    assert said.scores.numpy() == pytest.approx(np.array([[0.72, 0.0]] * 2), abs=0.01)
    assert said.xyxy[0].tolist() == pytest.approx([8, 0, 40, 64], abs=0.5)
    assert cells(*HW).centres[CELL].tolist() == [24, 24]


def test_a_batch_that_comes_again_is_not_asked_of_it_again(choice: TeacherChoice) -> None:
    teacher = Teacher(choice)
    images = torch.zeros((1, *HW, 3), dtype=torch.uint8)
    assert teacher.lessons(images, (0, 7)) is teacher.lessons(images, (0, 7))
    assert teacher.lessons(images, (0, 8)) is not teacher.lessons(images, (0, 7))


def test_who_says_the_same_has_nothing_to_learn() -> None:
    places = cells(*HW)
    lessons = Lessons(
        image=torch.tensor([0]),
        cell=torch.tensor([CELL]),
        scores=torch.tensor([[0.72, 0.1]]),
        xyxy=torch.tensor([[8.0, 8.0, 40.0, 56.0]]),
    )
    logits = torch.zeros(1, len(places.strides), 6)
    logits[0, CELL, 0], logits[0, CELL, 2] = np.log(0.72 / 0.28), np.log(0.1 / 0.9)
    distances = torch.ones(1, len(places.strides), 4)
    distances[0, CELL] = torch.tensor([1.0, 1.0, 1.0, 2.0])  # strides, from (24, 24)
    same = lesson_loss(Predictions(logits, distances), places, lessons, (0, 2))
    assert float(same) == pytest.approx(0.0, abs=1e-5)
    logits[0, CELL, 0] += 1.0
    assert float(lesson_loss(Predictions(logits, distances), places, lessons, (0, 2))) > 0.01
    logits[0, CELL, 0] -= 1.0
    distances[0, CELL, 3] = 1.0
    assert float(lesson_loss(Predictions(logits, distances), places, lessons, (0, 2))) > 1.0


def test_a_run_is_taught(choice: TeacherChoice, tmp_path: Path) -> None:
    plain = recipe(write_set(tmp_path / "set"), steps=4)
    taught = Recipe(
        architecture=plain.architecture,
        data=plain.data,
        test_hw=plain.test_hw,
        stages=plain.stages[:1],  # of the graph's one shape
        teacher=choice,
    )
    nets = []
    for name, of in (("plain", plain), ("taught", taught)):
        place = RunPlace(tmp_path / name, tmp_path / "cache")
        run = Trainer(of, place, Settings(precision="float32"))
        run.run(open_source(of, place))
        nets.append(run.net)
    assert not torch.equal(*(net.heads[1][-1].weight for net in nets))  # type: ignore[index]


def test_a_net_of_our_own_teaches_what_it_says_itself() -> None:
    picture = torch.from_numpy(render_still(43, width_px=512, height_px=320).image)[None]
    taught = ("person", "car")
    choice = TeacherChoice(model=OWN, models_dir=str(default_models_dir()), classes=taught)
    said = Teacher(choice).lessons(picture)
    assert said.scores.max() > 0.5
    assert said.scores.max(dim=1).values.min() >= choice.least_score
    net = load_net(load_manifest(OWN)).eval()
    with torch.no_grad():
        predictions = net(picture.permute(0, 3, 1, 2))
    ids = Teacher(choice).class_ids
    assert float(lesson_loss(predictions, cells(320, 512), said, ids)) < 0.05  # bfloat16's part
    blind = Predictions(predictions.logits - 3.0, predictions.distances)
    assert float(lesson_loss(blind, cells(320, 512), said, ids)) > 0.5


def test_a_class_that_the_teacher_does_not_know_is_refused(choice: TeacherChoice) -> None:
    unknown = msgspec.structs.replace(choice, classes=("person", "bus"))
    with pytest.raises(UnusableDataSet, match="knows no bus; it can teach car, person"):
        Teacher(unknown)


def test_a_net_of_other_cells_cannot_teach(choice: TeacherChoice, tmp_path: Path) -> None:
    text = (Path(choice.models_dir) / "sees-one" / "model.toml").read_text()
    folder = tmp_path / "sees-one"
    folder.mkdir()
    (folder / "model.toml").write_text(text.replace('"yolox"', '"ssd"'))
    with pytest.raises(UnusableDataSet, match="family yolox"):
        Teacher(TeacherChoice(model="sees-one", models_dir=str(tmp_path), classes=("person",)))

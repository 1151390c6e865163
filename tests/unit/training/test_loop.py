import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import save_file

from tests.unit.training.tiny import recipe, write_set
from vigil.errors import DamagedModel
from vigil.training.export import averaged_net
from vigil.training.labels import UnusableDataSet
from vigil.training.loop import RunPlace, Settings, Trainer, open_source
from vigil.training.optimise import Muon, learning_rate
from vigil.training.recipe import Stage, load_recipe
from vigil.vision.classifier import Classifier
from vigil.vision.nets.trunknet import TrunkNet


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("tiny") / "set")


def trainer(
    root: Path, folder: Path, *, steps: int, optimiser: str = "adamw", **settings: object
) -> Trainer:
    place = RunPlace(folder, folder.parent / "cache")
    chosen = Settings(**{"precision": "float32", **settings})  # type: ignore[arg-type]
    return Trainer(replace(recipe(root, steps=steps), optimiser=optimiser), place, chosen)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_resumed_run_is_the_same_run_bit_for_bit(
    root: Path, tmp_path: Path, optimiser: str
) -> None:
    whole = trainer(root, tmp_path / "whole", steps=6, optimiser=optimiser)
    source = open_source(whole.recipe, whole.place)
    whole.run(source)

    first = trainer(root, tmp_path / "parts", steps=6, optimiser=optimiser)
    first.run(source, last_step=4)  # past the change of stage
    second = trainer(root, tmp_path / "parts", steps=6, optimiser=optimiser)
    assert second.resume()
    assert second.step == 4
    second.run(source)

    assert second.step == whole.step == 6
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    for name, value in whole.average.net.state_dict().items():
        assert torch.equal(value, second.average.net.state_dict()[name]), name


def test_another_optimiser_goes_on_from_a_checkpoint(root: Path, tmp_path: Path) -> None:
    first = trainer(root, tmp_path / "run", steps=6)
    source = open_source(first.recipe, first.place)
    first.run(source, last_step=4)
    second = trainer(root, tmp_path / "run", steps=6, optimiser="muon")
    assert second.resume()
    second.run(source)
    assert second.step == 6
    assert all(torch.isfinite(p).all() for p in second.net.parameters())


def test_a_run_begins_with_a_classifiers_backbone(root: Path, tmp_path: Path) -> None:
    taught = Classifier(TrunkNet(classes=3)).state_dict()
    save_file(taught, tmp_path / "crops.safetensors")
    begun = replace(recipe(root, steps=2), backbone_from=str(tmp_path / "crops.safetensors"))
    net = Trainer(begun, RunPlace(tmp_path / "run", tmp_path / "cache")).net.state_dict()
    of_backbone = [name for name in net if name.startswith(("stem.", "stages."))]
    assert len(of_backbone) > 50
    for name in of_backbone:
        assert torch.equal(net[name], taught[f"net.{name}"]), name


def test_two_workers_do_every_step_once(root: Path, tmp_path: Path) -> None:
    run = trainer(root, tmp_path / "two", steps=6, workers=2, precision="bfloat16")
    run.run(open_source(run.recipe, run.place))
    assert run.step == 6
    assert all(torch.isfinite(p).all() for p in run.net.parameters())


def test_a_run_that_is_told_to_stop_saves(root: Path, tmp_path: Path) -> None:
    run = trainer(root, tmp_path / "stopped", steps=100)
    source = open_source(run.recipe, run.place)
    run.run(source, stopping=lambda: run.step >= 2)
    assert run.step == 2
    assert averaged_net(run.place.checkpoint, "vigil-det-n") is not None


def test_a_failing_worker_ends_the_run(root: Path, tmp_path: Path) -> None:
    run = trainer(root, tmp_path / "failing", steps=4)
    source = open_source(run.recipe, run.place)
    run.batch = lambda *_: (_ for _ in ()).throw(UnusableDataSet("planted"))  # type: ignore[method-assign]
    with pytest.raises(UnusableDataSet, match="planted"):
        run.run(source)


def test_a_checkpoint_of_another_net_is_refused(root: Path, tmp_path: Path) -> None:
    run = trainer(root, tmp_path / "n", steps=2)
    run.save()
    with pytest.raises(DamagedModel, match="no checkpoint of this net"):
        averaged_net(run.place.checkpoint, "vigil-det-s")


def test_the_rate_warms_up_and_falls() -> None:
    stage = Stage(
        name="s", steps=100, shapes_hw=((64, 64),), pixels_per_batch=1, learning_rate=1.0,
        final_learning_rate=0.1, warmup_steps=10,
    )  # fmt: skip
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_a_recipe_is_read_and_its_errors_name_the_field(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'architecture = "vigil-det-n"\n[[data]]\npath = "x"\n[[stages]]\nname = "a"\nsteps = 3\n'
        "shapes_hw = [[64, 64]]\npixels_per_batch = 100\nlearning_rate = 0.1\n"
        "final_learning_rate = 0.1\n"
    )
    read = load_recipe(path)
    assert read.total_steps == 3
    assert read.stage_at(2) == (0, 2)
    path.write_text(path.read_text().replace("steps = 3", "stepps = 3"))
    with pytest.raises(UnusableDataSet, match="stepps"):
        load_recipe(path)


def test_the_log_is_json_lines(root: Path, tmp_path: Path) -> None:
    run = trainer(root, tmp_path / "log", steps=2)
    run.run(open_source(run.recipe, run.place))
    assert [json.loads(line) for line in run.place.log.read_text().splitlines()] == []


def test_muon_turns_every_direction_of_a_filter_bank_alike() -> None:
    filters = torch.nn.Parameter(torch.zeros(16, 4, 3, 3))
    bias = torch.nn.Parameter(torch.zeros(16))
    muon = Muon([{"params": [bias], "weight_decay": 0.0}], [filters], weight_decay=0.0)
    muon.param_groups[0]["lr"] = 0.01
    generator = torch.Generator().manual_seed(0)
    strong = torch.randn(16, 36, generator=generator) * torch.logspace(0, -2, 16)[:, None]
    filters.grad, bias.grad = strong.view_as(filters), torch.ones(16)
    muon.step()
    moved = torch.linalg.svdvals(filters.detach().view(16, 36))
    assert float(moved.max() / moved.min()) < 3  # the gradient's own: over 50
    assert float(filters.detach().square().mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.5)
    assert torch.all(bias < 0)

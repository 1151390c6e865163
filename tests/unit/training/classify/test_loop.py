from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from tests.unit.training.classify.crops import CLASSES, labelled
from vigil.training.classify.loop import AnotherRun, ClassifierTrainer, Diverged, Epoch, epoch_order
from vigil.training.classify.recipe import (
    BrokenClassifierRecipe,
    ClassifierRecipe,
    load_classifier_recipe,
)
from vigil.vision.manifest import load_manifest


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trainer(folder: Path, **changes: object) -> ClassifierTrainer:
    given = {
        "architecture": "cropnet", "input_px": 20, "epochs": 3, "batch": 12,
        "warmup_epochs": 0.5, "learning_rate": 0.02, "dropout": 0.2,
    }  # fmt: skip
    return ClassifierTrainer(ClassifierRecipe(**{**given, **changes}), CLASSES, folder)  # type: ignore[arg-type]


def test_it_learns_what_can_be_learnt(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=6)
    assert run.run(labelled(48), labelled(24, seed=2))
    assert run.history[-1].val_accuracy == 1.0
    assert not run.best().training


@pytest.mark.parametrize("optimiser", ["nesterov", "adamw"])
def test_a_resumed_run_is_the_same_run_bit_for_bit(tmp_path: Path, optimiser: str) -> None:
    data, held_out = labelled(36), labelled(12, seed=2)
    whole = trainer(tmp_path / "whole", optimiser=optimiser)
    assert whole.run(data, held_out)

    first = trainer(tmp_path / "parts", optimiser=optimiser)
    assert not first.run(data, held_out, stopping=lambda: first.step >= 5)  # within an epoch
    second = trainer(tmp_path / "parts", optimiser=optimiser)
    assert second.resume()
    assert second.step == 5
    assert len(second.history) == 1
    assert second.run(data, held_out)

    assert second.step == whole.step == 9
    for name, value in whole.average.net.state_dict().items():
        assert torch.equal(value, second.average.net.state_dict()[name]), name
    assert [e.val_loss for e in second.history] == [e.val_loss for e in whole.history]


def test_another_recipe_does_not_take_up_a_run(tmp_path: Path) -> None:
    trainer(tmp_path).run(labelled(12), labelled(6), stopping=lambda: True)
    with pytest.raises(AnotherRun, match="name a new folder"):
        trainer(tmp_path, learning_rate=0.5).resume()


def test_a_new_folder_has_nothing_to_resume(tmp_path: Path) -> None:
    assert not trainer(tmp_path).resume()


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=50, patience_epochs=2, learning_rate=1e-9, warmup_epochs=0.0)
    assert run.run(labelled(12), labelled(6))
    assert len(run.history) == 3


def test_what_is_kept_may_be_the_last_epoch_rather_than_the_best(tmp_path: Path) -> None:
    kept = {}
    for keep in ("best", "last"):
        run = trainer(tmp_path / keep, keep=keep, epochs=2, learning_rate=1e-9, warmup_epochs=0.0)
        assert run.run(labelled(12), labelled(6))
        assert run.history[0].val_balanced_accuracy == run.history[1].val_balanced_accuracy
        average = run.average.net.state_dict()
        kept[keep] = all(torch.equal(v, average[k]) for k, v in run.best().state_dict().items())
    assert kept == {"best": False, "last": True}


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    with torch.no_grad():
        next(run.net.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="lower rate"):
        run.run(labelled(12), labelled(6))


def test_mixed_precision_and_balance_run(tmp_path: Path) -> None:
    recipe = trainer(tmp_path / "a", balance=True, epochs=1, label_smoothing=0.1).recipe
    run = ClassifierTrainer(recipe, CLASSES, tmp_path / "b", precision="bfloat16")
    assert run.run(labelled(14), labelled(6))
    assert all(torch.isfinite(p).all() for p in run.net.parameters())


def test_the_log_has_a_row_an_epoch(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=2)
    run.run(labelled(24), labelled(6))
    rows = (tmp_path / "log.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(row, type=Epoch).step for row in rows] == [2, 4]


def test_a_net_with_auxiliary_heads_goes_the_same_way(tmp_path: Path) -> None:
    run = trainer(tmp_path, architecture="googlenet", epochs=1)
    assert run.run(labelled(12), labelled(6))


def test_drawn_evenly_every_class_comes_alike_often_and_all_its_pictures_come() -> None:
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    order = epoch_order(labels, np.random.default_rng(1), evenly=True)
    assert sorted(epoch_order(labels, np.random.default_rng(1), evenly=False)) == list(range(100))
    assert np.bincount(labels[order]).tolist() == [34, 34, 34]
    times = np.bincount(order, minlength=100)
    assert times[:70].max() == 1
    assert set(times[70:90]) == {1, 2}
    assert set(times[90:]) == {3, 4}
    assert len(set(labels[order[:12]])) == 3, "not class after class"


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'architecture = "cropnet"\ninput_px = 64\ndraw_evenly = true\n[augmentation]\nzoom = 0.2\n'
    )
    recipe = load_classifier_recipe(path)
    assert (recipe.input_px, recipe.draw_evenly, recipe.augmentation.zoom) == (64, True, 0.2)
    assert recipe.augmentation.flip_chance == 0.5


def test_the_recipe_that_came_with_a_model_is_one() -> None:
    recipe = load_classifier_recipe(
        load_manifest("vigil-vehicle-type").card_path.with_name("recipe.toml")
    )
    assert recipe.architecture == load_manifest("vigil-vehicle-type").architecture


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input_px = 64\n", "architecture"),
        ('architecture = "cropnet"\ninput_px = 64\nrate = 1\n', "rate"),
        ('architecture = "cropnet"\ninput_px = 64\nbalance = true\ndraw_evenly = true\n', "choose"),
        ("architecture = ", "recipe.toml"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(BrokenClassifierRecipe, match=said):
        load_classifier_recipe(tmp_path / "recipe.toml")


def test_biases_that_a_net_has_not_are_refused_before_it_learns(tmp_path: Path) -> None:
    with pytest.raises(BrokenClassifierRecipe, match="last layer of resnet9 has no biases"):
        trainer(tmp_path, architecture="resnet9", input_px=32, dropout=None, fit_biases=True)

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from tests.unit.training.classify.crops import CLASSES, labelled
from vigil.training.classify.loop import AnotherRun, ClassifierTrainer, Diverged, Epoch
from vigil.training.classify.recipe import ClassifierRecipe


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

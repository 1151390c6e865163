import pytest
import torch
from torch import nn

from vigil.training.classify.initialise import initialise
from vigil.training.classify.optimise import learning_rate, make_optimiser
from vigil.training.classify.recipe import ClassifierRecipe


def recipe(**changes: object) -> ClassifierRecipe:
    given = {"architecture": "cropnet", "input_px": 32, "learning_rate": 1.0, "epochs": 10}
    return ClassifierRecipe(**{**given, **changes})  # type: ignore[arg-type]


def rates(chosen: ClassifierRecipe) -> list[float]:
    return [learning_rate(chosen, step, steps_per_epoch=10) for step in range(100)]


def test_the_rate_warms_up_and_falls_by_a_cosine() -> None:
    found = rates(recipe(warmup_epochs=1.0))
    assert found[0] == pytest.approx(0.1)
    assert max(found) == found[9] == 1.0
    assert found[55] == pytest.approx(0.5, abs=0.02)
    assert found[-1] < 0.01


def test_the_rate_falls_by_steps() -> None:
    found = rates(recipe(schedule="step", step_epochs=4, warmup_epochs=0.0))
    assert [found[0], found[39], found[40], found[80]] == pytest.approx([1.0, 1.0, 0.1, 0.01])


def test_the_rate_may_stay() -> None:
    assert set(rates(recipe(schedule="constant", warmup_epochs=0.0))) == {1.0}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", torch.optim.SGD),
        ("nesterov", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
    ],
)
def test_every_optimiser_is_made_and_spares_norms(name: str, kind: type) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    made = make_optimiser(net, recipe(optimiser=name))
    assert isinstance(made, kind)
    assert made.defaults.get("nesterov", False) == (name == "nesterov")
    assert [len(group["params"]) for group in made.param_groups] == [1, 3]
    assert made.param_groups[1]["weight_decay"] == 0.0


def test_he_keeps_the_size_of_signals_through_relus_and_xavier_through_linear_layers() -> None:
    for kind, act in (("he", nn.ReLU()), ("xavier", nn.Identity())):
        torch.manual_seed(1)
        layers = [module for _ in range(20) for module in (nn.Linear(256, 256), act)]
        net = nn.Sequential(*layers)
        initialise(net, kind)  # type: ignore[arg-type]
        with torch.no_grad():
            size = float(net(torch.randn(64, 256)).pow(2).mean())
        assert 0.2 < size < 5.0, kind

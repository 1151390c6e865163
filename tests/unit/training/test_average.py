"""Weights of runs averaged: the mean of their averages, to go on from, and never of different nets."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from vigil.cli import main
from vigil.errors import DamagedModel
from vigil.training.average import average
from vigil.training.checkpoint import load_checkpoint, save_checkpoint


def net(value: float, *, width: int = 3) -> nn.Sequential:
    made = nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(value)
        made[1].running_mean.fill_(value)  # type: ignore[union-attr, operator]
        made[1].num_batches_tracked.fill_(int(10 * value))  # type: ignore[union-attr, operator]
    return made


def run(folder: Path, value: float, *, step: int = 1, width: int = 3) -> Path:
    """A run's folder whose net is not where its average is."""
    trained = net(value + 100.0, width=width)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    trained(torch.ones(2, 3, 4, 4)).sum().backward()
    optimiser.step()
    path = folder / "checkpoint.safetensors"
    save_checkpoint(
        path, net=trained, average=net(value, width=width), optimiser=optimiser, step=step
    )
    return folder


def averaging(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["train", "average", *map(str, words)])


def test_the_next_stage_begins_at_the_weighted_mean_of_the_averages(tmp_path: Path) -> None:
    early, late = run(tmp_path / "a", 1.0, step=8400), run(tmp_path / "b", 3.0, step=12_000)
    done = averaging(early, late, "--weights", "0.25,0.75", "--run", tmp_path / "c")
    assert done.exit_code == 0, done.output
    found, moving = net(0.0), net(0.0)
    optimiser = torch.optim.AdamW(found.parameters(), lr=1e-3)
    step = load_checkpoint(
        tmp_path / "c" / "checkpoint.safetensors", net=found, average=moving, optimiser=optimiser
    )
    assert step == 12_000
    assert len(optimiser.state_dict()["state"]) == 4, "the last one's moments"
    for each in (found, moving):
        for name, value in each.state_dict().items():
            wanted = {"1.running_var": 1.0, "1.num_batches_tracked": 30}.get(name, 2.5)
            assert value.double().mean() == pytest.approx(wanted), name


def test_without_weights_all_count_alike_and_mere_weights_will_do(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 6.0))]
    assert averaging(*runs, "--run", tmp_path / "d").exit_code == 0
    mean = average([tmp_path / "d", runs[0] / "checkpoint.safetensors"], [1.0, 1.0])
    assert mean["0.weight"].mean() == pytest.approx((3.0 + 1.0) / 2)


def test_other_nets_are_refused_by_the_layer_that_differs(tmp_path: Path) -> None:
    narrow, wide = run(tmp_path / "a", 1.0), run(tmp_path / "b", 1.0, width=4)
    with pytest.raises(DamagedModel, match=r"0\.bias is \[3\] in one and \[4\] in the other"):
        average([narrow, wide], [1.0, 1.0])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a"], "two runs or more"),
        (["a", "b", "--weights", "1"], "1 numbers for 2 runs"),
        (["a", "b", "--weights", "1,-1"], "above 0"),
        (["a", "b", "--weights", "1,nan"], "above 0"),
        (["a", "b", "--weights", "1,x"], "0.25,0.75"),
        (["a", "missing"], "missing"),
        (["a", "notes.txt"], "cannot be read"),
        (["a", "a", "--run", "b"], "is there already"),
    ],
)
def test_what_cannot_be_averaged_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run(Path("a"), 1.0)
    run(Path("b"), 2.0)
    Path("notes.txt").write_text("no weights")
    done = averaging("--run", "c", *words)
    assert done.exit_code != 0
    assert why in done.output
    assert not Path("c", "checkpoint.safetensors").exists()

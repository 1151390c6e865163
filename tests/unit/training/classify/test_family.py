import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.training.classify.crops import write_folders
from vigil.cli import main
from vigil.training.classify.family import RECIPES
from vigil.vision.manifest import load_manifest


def family(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main,
        [
            "train", "family", "--data", str(folder / "crops"), "--run", str(folder / "run"),
            "--net", "lenet5", "--net", "resnet9", "--epochs", "1", "--precision", "float32",
            *arguments,
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("family")
    write_folders(folder / "crops", count=20)
    result = family(folder, "--json")
    assert result.exit_code == 0, result.output
    (folder / "told.json").write_text(result.stdout)
    return folder


def test_nets_and_baselines_are_in_one_table(place: Path) -> None:
    rows = {row["name"]: row for row in json.loads((place / "told.json").read_text())["rows"]}
    assert set(rows) == {
        "nearest neighbours", "linear svm", "softmax regression", "lenet5", "resnet9",
    }  # fmt: skip
    assert rows["linear svm"]["accuracy"] >= 0.7
    assert rows["linear svm"]["parameters"] == (32 * 32 * 3 + 1) * 3
    assert rows["resnet9"]["epochs"] == 1
    assert rows["resnet9"]["multiply_adds"] > rows["lenet5"]["multiply_adds"] > 0
    assert all(row["cpu_s"] > 0 for row in rows.values())
    text = (place / "run" / "classifiers.md").read_text()
    assert all(f"| {name} |" in text for name in rows)


def test_its_models_can_be_served_and_its_runs_are_gone_on_with(place: Path) -> None:
    manifest = load_manifest("resnet9", models_dir=place / "run" / "models")
    assert manifest.task == "classification"
    log = (place / "run" / "resnet9" / "log.jsonl").read_text()
    assert family(place).exit_code == 0
    assert (place / "run" / "resnet9" / "log.jsonl").read_text() == log


def test_every_recipe_is_for_a_net_of_its_name() -> None:
    assert all(recipe.architecture == name for name, recipe in RECIPES.items())
    assert {"lenet5", "alexnet", "vgg11", "googlenet", "resnet9"} <= set(RECIPES)

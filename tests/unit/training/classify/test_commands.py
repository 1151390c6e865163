import importlib.util
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from tests.unit.training.classify.crops import CLASSES, labelled, write_folders
from vigil.cli import main
from vigil.errors import DamagedModel
from vigil.vision.classifier import CropClassifier, load_classifier
from vigil.vision.manifest import load_manifest, verify


def train(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main,
        [
            "train", "classifier", "--data", str(folder / "crops"), "--name", "place",
            "--run", str(folder / "run"), "--models-dir", str(folder / "models"),
            "--input", "20", "--batch", "12", "--epochs", "10", "--rate", "0.02",
            "--group", r"^(cam\d+)", "--val-share", "0.25", *arguments,
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    write_folders(folder / "crops", count=16)
    result = train(folder, "--json", "--baselines")
    assert result.exit_code == 0, result.output
    (folder / "told.json").write_text(result.stdout)
    return folder


def test_training_tells_one_json_object(place: Path) -> None:
    told = json.loads((place / "told.json").read_text())
    assert told["accuracy"] >= 0.9
    drawn = {"filters", "activations"}
    if importlib.util.find_spec("matplotlib"):
        drawn |= {"curves", "confusion", "calibration", "mistakes"}
    assert {path.stem for path in (place / "run" / "plots").iterdir()} == drawn
    page = (place / "run" / "report.md").read_text()
    assert all(f"plots/{name}.png" in page for name in drawn)
    assert "linear svm on features" in page
    assert np.array(told["confusion"]).sum() == 12
    assert set(told["recall"]) == set(CLASSES)
    assert told["baselines"]["pixels"]["linear_svm"] > 0.8
    assert set(told["baselines"]) == {"pixels", "features"}
    assert json.loads((place / "run" / "report.json").read_text())["accuracy"] == told["accuracy"]


def test_the_result_is_a_model_that_classifies(place: Path) -> None:
    manifest = load_manifest("place", models_dir=place / "models")
    assert manifest.task == "classification"
    assert manifest.classes == CLASSES
    verify(manifest)
    net = load_classifier(manifest)
    told = json.loads((place / "told.json").read_text())
    assert float(net.temperature) == pytest.approx(told["temperature"], rel=1e-2)
    assert float(net.temperature) != 1.0
    crops = labelled(9, seed=7)
    chances = CropClassifier(manifest).classify(crops.images)
    assert chances.shape == (9, 3)
    assert (chances.argmax(1) == crops.labels).mean() >= 0.8
    assert "recall" in manifest.card_path.read_text()


def test_evaluation_says_what_the_served_model_answers(place: Path) -> None:
    asked = write_folders(place / "asked", count=5)
    for extra in asked.glob("level/*"):  # a set may lack a class
        extra.unlink()
    told = json.loads(evaluate(place, "asked", "--json").stdout)
    assert told["pictures"] == 10
    assert told["accuracy"] >= 0.8
    assert told["top_2_accuracy"] >= told["accuracy"]
    assert told["recall"]["level"] is None
    assert 0 <= told["calibration_error"] <= 1
    assert told["ms_per_crop"] > 0
    text = evaluate(place, "asked", "--no-time", "--mirror").output
    assert "of 10 pictures" in text


def test_evaluation_refuses_classes_that_the_model_has_not(place: Path) -> None:
    folder = place / "others" / "sideways"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), np.zeros((8, 8, 3), np.uint8))
    result = CliRunner().invoke(main, evaluation(place, "others"))
    assert result.exit_code == 1
    assert "no class sideways; it knows above, below, level" in result.output


def evaluation(place: Path, data: str, *arguments: str) -> list[str]:
    models = ["--model", "place", "--models-dir", str(place / "models")]
    return ["evaluate", "classifier", "--data", str(place / data), *models, *arguments]


def evaluate(place: Path, data: str, *arguments: str) -> Result:
    result = CliRunner().invoke(main, evaluation(place, data, *arguments))
    assert result.exit_code == 0, result.output
    return result


def test_damaged_weights_are_refused(place: Path, tmp_path: Path) -> None:
    manifest = load_manifest("place", models_dir=place / "models")
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "model.toml").write_bytes(
        (manifest.weights_path.parent / "model.toml").read_bytes()
    )
    (tmp_path / "place" / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(DamagedModel, match="sha256"):
        load_classifier(load_manifest("place", models_dir=tmp_path))


def test_the_same_command_again_goes_on_where_it_was(place: Path) -> None:
    result = train(place)
    assert result.exit_code == 0, result.output
    assert "resumed at step 30" in result.stderr
    assert "above" in result.stderr


def test_a_run_may_be_ended_where_it_is(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "crops", tmp_path / "crops")
    refused = train(tmp_path, "--finish")
    assert refused.exit_code == 2
    assert "needs a run that has ended an epoch" in refused.output
    shutil.copytree(place / "run", tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_text(
        "".join(log.read_text().splitlines(keepends=True)[:1])
    )  # as if stopped after one
    recipe = tmp_path / "run" / "recipe.json"
    recipe.write_text(recipe.read_text().replace('"epochs": 10', '"epochs": 50'))
    ended = train(tmp_path, "--epochs", "50", "--finish")
    assert ended.exit_code == 0, ended.output
    assert len(log.read_text().splitlines()) == 1, "nothing was learnt"
    assert load_manifest("place", models_dir=tmp_path / "models").classes == CLASSES


def test_another_recipe_in_the_same_folder_is_refused(place: Path) -> None:
    result = train(place, "--smoothing", "0.1")
    assert result.exit_code == 1
    assert "another recipe" in result.output


def test_a_recipe_trains_and_fits_biases_that_the_model_has(place: Path, tmp_path: Path) -> None:
    elsewhere = write_folders(tmp_path / "elsewhere", count=10)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'architecture = "cropnet"\ninput_px = 20\nbatch = 12\nepochs = 2\nlearning_rate = 0.02\n'
        "draw_evenly = true\nfit_biases = true\n"
    )
    arguments = [
        "train", "classifier", "--recipe", str(recipe), "--data", str(place / "crops"),
        "--run", str(tmp_path / "run"), "--models-dir", str(tmp_path / "models"),
        "--group", r"^(cam\d+)", "--val-share", "0.25", "--calibrate", str(elsewhere),
    ]  # fmt: skip
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert len(told["biases"]) == 3
    bare = load_file(tmp_path / "run" / "best.safetensors")
    shipped = load_classifier(load_manifest("cropnet", models_dir=tmp_path / "models")).state_dict()
    last = "net.head.3.bias"
    moved = (shipped[last] - bare[last]).numpy()
    assert moved == pytest.approx(told["biases"], abs=2e-2)
    assert np.abs(moved).max() > 0.05
    assert 0 < told["test"]["pictures"] < 30, "a half of the other set's, by group"
    assert sum(map(sum, told["confusion"])) == 12
    for flag, value in (("--rate", "0.1"), ("--from", str(tmp_path)), ("--no-flip", None)):
        given = [flag] if value is None else [flag, value]
        refused = CliRunner().invoke(main, [*arguments, *given])
        assert refused.exit_code == 2
        said = "--flip" if value is None else flag
        assert f"--recipe says what {said} would" in refused.output


def test_a_trained_model_can_be_described(place: Path) -> None:
    arguments = ["models", "describe", "place", "--models-dir", str(place / "models"), "--json"]
    told = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert told["net"] == "cropnet"
    assert told["input"] == [3, 20, 20]
    assert told["layers"][-1]["shape"] == [3]


def test_the_test_part_of_an_archive_is_judged_at_the_end(tmp_path: Path) -> None:
    parts: dict[str, np.ndarray] = {"classes": np.array(CLASSES)}
    for part, count in (("train", 36), ("test", 9)):
        crops = labelled(count, seed=count)
        jpegs = [cv2.imencode(".jpg", image)[1].ravel() for image in crops.images]
        parts[f"{part}_jpeg"] = np.concatenate(jpegs)
        parts[f"{part}_offsets"] = np.cumsum([0, *map(len, jpegs)])
        parts[f"{part}_labels"] = crops.labels.astype(np.uint8)
    np.savez(tmp_path / "set.npz", **parts)
    (tmp_path / "crops").mkdir()
    result = train(tmp_path, "--data", str(tmp_path / "set.npz"), "--epochs", "2")
    assert result.exit_code == 0, result.output
    assert "27 pictures to learn from, 9 to validate" in result.stderr
    assert json.loads((tmp_path / "run" / "report.json").read_text())["test"]["pictures"] == 9

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.training.tiny import write_set
from vigil.cli.evaluate import evaluate
from vigil.cli.train import train

RECIPE = """
architecture = "vigil-det-n"
test_hw = [64, 96]
[[data]]
path = "{root}"
[[stages]]
name = "only"
steps = 3
shapes_hw = [[64, 64]]
pixels_per_batch = 32768
learning_rate = 1e-3
final_learning_rate = 1e-4
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a recipe, a run of three steps and the model that came of it."""
    folder = tmp_path_factory.mktemp("commands")
    root = write_set(folder / "set")
    (folder / "recipe.toml").write_text(RECIPE.format(root=root))
    invoke(
        train, "detector", "--recipe", folder / "recipe.toml", "--run", folder / "run",
        "--cache", folder / "cache", "--precision", "float32", "--pid-file", folder / "pid",
    )  # fmt: skip
    invoke(
        train, "export", "--run", folder / "run", "--recipe", folder / "recipe.toml",
        "--name", "tiny", "--models-dir", folder / "models",
    )  # fmt: skip
    return folder


def invoke(command: object, *arguments: object) -> str:
    result = CliRunner().invoke(
        command,  # type: ignore[arg-type]
        [str(a) for a in arguments],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_training_leaves_a_checkpoint_and_a_model(place: Path) -> None:
    assert (place / "run" / "checkpoint.safetensors").is_file()
    assert (place / "models" / "tiny" / "weights.safetensors").stat().st_mode & 0o044
    assert int((place / "pid").read_text()) > 0


def test_thresholds_are_chosen_and_written(place: Path) -> None:
    chosen = invoke(
        train, "thresholds", "--name", "tiny", "--data", place / "set",
        "--models-dir", place / "models",
    )  # fmt: skip
    assert chosen.splitlines()[0].startswith("person: ")


def test_a_set_is_evaluated_as_one_json_object(place: Path) -> None:
    out = invoke(
        evaluate, "detector", "--data", place / "set", "--model", "tiny",
        "--models-dir", place / "models", "--precision", "float32", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert found["model"] == "tiny"
    assert found["ms_per_frame"] > 0
    assert found["ms_per_frame_batch8"] > 0
    person = found["sources"]["tiny"]["person"]
    assert person["n"] == 6
    assert {"ap50", "ap50_95", "error", "error_operating"} <= set(person)


def test_a_set_or_a_video_must_be_named(place: Path) -> None:
    result = CliRunner().invoke(evaluate, ["detector", "--data", str(place), "--video", str(place)])
    assert result.exit_code == 2
    result = CliRunner().invoke(evaluate, ["detector"])
    assert result.exit_code == 2


def test_a_report_is_drawn(place: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'train' is not installed")
    (place / "run" / "log.jsonl").write_text(
        "\n".join(
            json.dumps({"step": s, "stage": "only", "classes": 3.0 / s, "boxes": 0.5 / s})
            for s in range(1, 5)
        )
    )
    out = invoke(
        train, "report", "--run", place / "run", "--name", "tiny", "--data", place / "set",
        "--models-dir", place / "models",
    )  # fmt: skip
    assert [Path(line).name for line in out.splitlines()] == [
        "loss.png", "precision_recall.png", "samples.png", "worst.png",
    ]  # fmt: skip

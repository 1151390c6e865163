import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vigil.cli import main

WEIGHTS = b"weights"


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    for name in ("net-a", "net-b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(WEIGHTS)
        (folder / "card.md").write_text(f"# {name}\n\nMeasured.\n")
        (folder / "model.toml").write_text(
            f'name = "{name}"\narchitecture = "plain"\nclasses = ["person", "car"]\n'
            "input_height_px = 320\ninput_width_px = 512\nscore_threshold = [0.25, 0.5]\n"
            'nms_iou = 0.6\nweights = "weights.safetensors"\nlicence = "Apache-2.0"\n'
            f'weights_sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"\n'
        )
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def test_list_shows_what_is_installed(models_dir: Path) -> None:
    result = run("list", "--models-dir", str(models_dir))
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["MODEL", "net-a", "net-b"]
    listed = json.loads(run("list", "--json", "--models-dir", str(models_dir)).stdout)
    assert [one["name"] for one in listed["models"]] == ["net-a", "net-b"]


def test_show_tells_thresholds_and_card(models_dir: Path) -> None:
    result = run("show", "net-a", "--models-dir", str(models_dir))
    assert result.exit_code == 0
    assert "512x320" in result.stdout
    assert "0.250" in result.stdout
    assert result.stdout.endswith("Measured.\n")
    shown = json.loads(run("show", "net-a", "--json", "--models-dir", str(models_dir)).stdout)
    assert shown["classes"] == {"person": 0.25, "car": 0.5}


def test_verify_finds_the_damaged_one(models_dir: Path) -> None:
    assert run("verify", "--models-dir", str(models_dir)).exit_code == 0
    (models_dir / "net-b" / "weights.safetensors").write_bytes(b"changed")
    result = run("verify", "--models-dir", str(models_dir))
    assert result.exit_code == 1
    assert "net-a  intact" in result.stdout
    assert "sha256" in result.stdout
    found = json.loads(run("verify", "--json", "--models-dir", str(models_dir)).stdout)["models"]
    assert found["net-a"] == "intact"
    assert found["net-b"] != "intact"
    assert run("verify", "net-a", "--models-dir", str(models_dir)).exit_code == 0


def test_an_unknown_model_is_one_line(models_dir: Path) -> None:
    for command in ("show", "verify"):
        result = run(command, "none", "--models-dir", str(models_dir))
        assert result.exit_code == 1
        assert "net-a, net-b" in result.stderr


def test_nothing_installed_is_said(tmp_path: Path) -> None:
    assert "no models" in run("list", "--models-dir", str(tmp_path)).stderr
    assert run("verify", "--models-dir", str(tmp_path)).exit_code == 1

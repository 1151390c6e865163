import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vigil.bench.engine import Figure, advantage
from vigil.cli.bench import engine


def figure(name: str, precision: str, ms: float) -> Figure:
    return Figure(
        name=name,
        precision=precision,
        batch=8,
        input_hw=(64, 96),
        threads=1,
        ms=ms,
        best_ms=ms,
        cpu_ms=ms,
    )


def test_the_fastest_forms_of_one_precision_are_compared() -> None:
    figures = [
        figure("vigil packed", "int8", 2.0),
        figure("vigil eager", "bfloat16", 4.0),
        figure("vigil packed", "bfloat16", 3.0),
        figure("OpenVINO latency", "bfloat16", 3.6),
        figure("OpenVINO throughput", "bfloat16", 4.5),
    ]
    assert advantage(figures, precision="bfloat16") == pytest.approx(1.2)
    assert advantage(figures, precision="int8") is None


def test_every_runtime_runs_the_same_net(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("VIGIL_MODELS_DIR", str(models))
    monkeypatch.setattr("vigil.bench.engine._ROUND_S", 0.01)
    arguments = ["--model", "grid", "--batch", "2", "--size", "96x64", "--no-compile", "--json"]
    result = CliRunner().invoke(engine, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    figures = json.loads(result.stdout)["figures"]
    named = {(one["name"], one["precision"]) for one in figures}
    assert {("vigil eager", "bfloat16"), ("vigil packed", "bfloat16")} <= named
    assert ("ONNX Runtime", "float32") in named
    assert ("OpenVINO throughput async", "bfloat16") in named
    assert all(one["ms"] > 0 and one["fps"] > 0 for one in figures)


def test_a_size_that_the_nets_do_not_take_is_refused() -> None:
    result = CliRunner().invoke(engine, ["--size", "100x64"])
    assert result.exit_code == 2
    assert "multiples of 32" in result.output

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from vigil.bench import density
from vigil.bench.alone import Alone
from vigil.bench.density import FIRST, MARKED, Step, find_most
from vigil.bench.density_report import DensityReport
from vigil.bench.profile import PROFILES
from vigil.spec import MarkerRule

ALONE = Alone(
    streams=20,
    decode_ms=3.0,
    convert_ms=0.8,
    resize_ms=0.2,
    infer_ms=2.0,
    precision="int8",
    decoder_mib=15.0,
)


def step(streams: int, *, holds: bool = True) -> Step:
    return Step(
        streams=streams,
        marked_streams=min(streams, 16),
        seconds=30.0,
        due_frames=streams * 150,
        analysed_frames=streams * 150,
        analysed_share=1.0,
        p50_ms=30.0,
        p95_ms=60.0 if holds else 900.0,
        p99_ms=1000.0,
        within_limit_share=1.0,
        cpu_share={
            "service": 0.01 * streams,
            "hosts": 0.08 * streams,
            "engine": 0.01 * streams,
            "redis": 0.01,
        },
        elsewhere_share=0.0,
        stage_mean_ms={},
        stage_cpu_share={},
        batch_mean=2.0,
        crops=0,
        memory_mib={"service": 60.0, "hosts": 30.0 * streams, "engine": 300.0, "redis": 3.0},
        dropped={},
    )


@pytest.mark.parametrize("streams", [1, 4, 15, 16, 17, 31, 32, 71, 200])
def test_markers_are_carried_by_enough_streams_spread_over_all(streams: int) -> None:
    specs = density._specs(PROFILES["sub"], Path("/clips/a.mp4"), streams, "")
    marked = [at for at, spec in enumerate(specs) if isinstance(spec.rules[0], MarkerRule)]
    assert min(streams, MARKED) <= len(marked) < 2 * MARKED
    assert len({b - a for a, b in pairwise(marked)}) <= 1
    assert all(spec.rules for spec in specs)


@pytest.mark.parametrize("most", [3, 4, 5, 13, 17, 80, 230])
@pytest.mark.parametrize("guess", [16, 75])
def test_the_search_ends_at_the_largest_number_that_holds(most: int, guess: int) -> None:
    told: list[int] = []
    steps = find_most(
        lambda streams: step(streams, holds=streams <= most),
        guess=guess,
        tell=lambda one: told.append(one.streams),
    )
    found = max((one.streams for one in steps if one.holds), default=0)
    assert most * 0.97 <= found <= most
    assert sorted(told) == [one.streams for one in steps]
    assert told[0] == FIRST
    assert len(told) <= 18


def test_a_report_compares_with_the_bound_and_with_the_first_step(tmp_path: Path) -> None:
    steps = [step(4), step(15), step(16, holds=False)]
    report = DensityReport(
        profile=PROFILES["main"],
        model="vigil-det-n",
        cores=2,
        steps=steps,
        alone=ALONE,
        alone_first=replace(ALONE, streams=FIRST, decode_ms=3.2, decoder_mib=13.0),
    )
    result = report.as_json()
    assert result["streams"] == 15
    assert result["bound_stream_ms"] == pytest.approx(25 * 3.0 + 5 * 3.0)
    assert result["bound"] == pytest.approx(2000 / 90, abs=0.1)
    assert result["ratio_to_bound"] == pytest.approx(15 * 90 / 2000, abs=0.001)
    assert result["stream_cpu_ms"] == pytest.approx(100.0)
    assert result["cpu_ms_per_frame"] == pytest.approx(100.0 / 5)
    assert result["stream_mib_beside_decoder"] == pytest.approx(15.0)
    assert result["first_stream_cpu_beside_decode_ms"] == pytest.approx(100 - 25 * 3.2)
    assert result["stream_cpu_beside_decode_ms"] == pytest.approx(100 - 25 * 3.0)
    assert result["stream_cpu_beside_decode_growth"] == pytest.approx(25 / 20 - 1)
    assert result["first_stream_mib_beside_decoder"] == pytest.approx(17.0)
    assert result["stream_mib_growth"] == 0.0
    assert "stream_cpu_beside_decode_growth    0.25" in report.lines()
    report.draw(tmp_path / "density.png")
    assert (tmp_path / "density.png").read_bytes().startswith(b"\x89PNG")


def test_a_larger_model_is_told_of_beside_the_default(tmp_path: Path) -> None:
    profile, steps = PROFILES["main"], [step(4), step(15)]
    larger = DensityReport(
        profile=profile, model="vigil-det-s", cores=2, steps=[step(4), step(9)], alone=None
    )
    report = DensityReport(
        profile=profile, model="vigil-det-n", cores=2, steps=steps, alone=ALONE, beside=larger
    )
    alone = replace(report, beside=None)
    assert report.as_json() == {**alone.as_json(), "beside": larger.as_json()}
    assert report.lines() == [*alone.lines(), *larger.lines()]
    assert "9 streams of main hold on 2 cores with vigil-det-s" in report.lines()
    report.draw(tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_that_holds_is_zero_streams() -> None:
    report = DensityReport(
        profile=PROFILES["sub"],
        model="vigil-det-n",
        cores=2,
        steps=[step(4, holds=False)],
        alone=None,
    )
    assert report.as_json()["streams"] == 0
    assert "ratio" not in report.as_json()

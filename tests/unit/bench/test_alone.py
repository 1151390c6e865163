from pathlib import Path

import pytest

from tests.support import models as grid
from tests.support.videos import Clips
from vigil.bench.alone import measure_alone
from vigil.bench.profile import Profile

SMALL = Profile("small", 320, 240, 10.0, 100_000, 5.0)


@pytest.mark.timeout(180)  # processes that import torch, on whatever machine
def test_the_parts_are_measured_in_processes_of_their_own(
    clips: Clips,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIGIL_MODELS_DIR", str(models))
    alone = measure_alone(SMALL, clips.long, streams=2, seconds=1.0, model=grid.NAME)
    assert capfd.readouterr().out == ""  # that is for JSON
    assert alone.streams == 2
    assert 0 < alone.convert_ms < 1000
    assert 0 < alone.resize_ms < 1000
    assert 0 < alone.decode_ms < 1000
    assert 0 < alone.infer_ms < 1000
    assert alone.decoder_mib > 0
    assert alone.bound(SMALL, cores=2) == pytest.approx(2 * alone.bound(SMALL, cores=1))

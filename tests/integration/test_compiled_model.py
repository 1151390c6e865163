"""A detector compiled ahead of time, then served where there is no compiler: `make compiled`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support import models as grid
from tests.support.site import CALL_TIMEOUT_S
from vigil.v1 import analysis_pb2

pytestmark = [
    pytest.mark.slow,  # half a minute of a core and more is the compiler's
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed"),
]


def test_what_was_compiled_is_served_without_a_compiler(
    open_site: Callable[..., Any], tmp_path: Path
) -> None:
    grid.install_grid_model(tmp_path)
    command = [sys.executable, "-m", "vigil.cli", "models", "compile", grid.NAME, "--batch", "4"]
    done = subprocess.run(
        [*command, "--models-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    nowhere = {"PATH": str(tmp_path / "no-programs"), "CXX": "", "CC": ""}
    assert not shutil.which("g++", path=nowhere["PATH"])
    with open_site(VIGIL_MODEL__FOLDER=str(tmp_path), **nowhere) as site:
        samples = site.scrape()
        assert samples.value("vigil_engine_compiled", form="native", state="used") == 1
        assert samples.value("vigil_engine_compiled", form="compiled", state="slower") == 1
        assert samples.total("vigil_engine_compiled") == 2
        assert samples.total("vigil_engine_device_info", form="native", precision="bfloat16") == 1
        _, encoded = cv2.imencode(".png", np.zeros((64, 96, 3), np.uint8))
        request = analysis_pb2.DetectImageRequest(image=encoded.tobytes())
        answer = site.analysis.DetectImage(request, timeout=CALL_TIMEOUT_S).analysis
        assert len(answer.detections) == grid.BOXES
        assert answer.detections[0].score == pytest.approx(grid.SCORE, abs=0.01)
    (library,) = (tmp_path / grid.NAME / "compiled").glob("*/native.so")
    os.truncate(library, 1000)
    with open_site(VIGIL_MODEL__FOLDER=str(tmp_path), **nowhere) as site:
        samples = site.scrape()
        assert samples.value("vigil_engine_compiled", form="native", state="unusable") == 1
        assert samples.value("vigil_engine_compiled", form="compiled", state="used") == 1
        assert samples.total("vigil_engine_device_info", form="compiled", precision="bfloat16") == 1
        assert site.analysis.DetectImage(request, timeout=CALL_TIMEOUT_S).analysis.detections
    (library,) = (tmp_path / grid.NAME / "compiled").glob("*/b4.so")
    os.truncate(library, 1000)
    with open_site(VIGIL_MODEL__FOLDER=str(tmp_path), **nowhere) as site:
        assert site.scrape().value("vigil_engine_compiled", form="compiled", state="unusable") == 1
        assert "not_compiled" in site.log()
        assert site.analysis.DetectImage(request, timeout=CALL_TIMEOUT_S).analysis.detections

from pathlib import Path

import numpy as np
import pytest

from tests.support.imported import CLASSES, INPUT_HW, install_imported_model
from vigil.data import U8
from vigil.engine.runner import Runner

pytest.importorskip("onnxruntime", reason="the extra 'peers' is not installed")


def picture(value: int) -> U8:
    return np.full((*INPUT_HW, 3), value, np.uint8)


def test_a_batch_of_an_imported_model_is_answered_picture_by_picture(tmp_path: Path) -> None:
    manifest = install_imported_model(tmp_path, "brought")
    runner = Runner(manifest, device="cpu", max_batch=4, threads=1)
    runner.warm()
    inferred = runner.infer([picture(value) for value in (0, 128, 255)])
    assert len(inferred.found) == 3
    for found in inferred.found:
        assert found is not None
        assert [CLASSES[index] for index in found.class_id] == ["bird", "bus"]
        assert found.xyxy[0].tolist() == [24, 16, 48, 32]

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.unit.training.classify.crops import CLASSES, labelled
from vigil.training.classify.loop import Epoch

pytest.importorskip("matplotlib", reason="the extra 'train' is not installed")


def test_curves_confusion_and_mistakes_are_drawn(tmp_path: Path) -> None:
    from vigil.training.classify.plots import write_plots

    data = labelled(9)
    logits = np.eye(3)[data.labels] * 4.0
    logits[4] = [9.0, 0.0, 0.0]  # the one mistake: picture 4 is "below"
    history = [
        Epoch(
            epoch=i, step=i, learning_rate=0.1, loss=1.0 / i, val_loss=1.0 / i,
            val_accuracy=0.5, val_balanced_accuracy=0.5,
        )
        for i in (1, 2)
    ]  # fmt: skip
    paths = write_plots(
        tmp_path / "plots", history=history, classes=CLASSES, data=data, logits=logits
    )
    names = ["curves.png", "confusion.png", "calibration.png", "mistakes.png"]
    assert [path.name for path in paths] == names
    sheet = cv2.imread(str(paths[3]))
    assert sheet is not None
    shown = cv2.resize(data.images[4], (128, 128), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(sheet[:128, :128], shown)
    assert (sheet[:128, 128:] == 32).all()  # nothing else was wrong

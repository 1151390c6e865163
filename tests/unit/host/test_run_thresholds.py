"""What counts in a run's frames: the model's thresholds, or the least score that a client named."""

import numpy as np

from vigil.host.run import Thresholds


def thresholds(min_score: float) -> Thresholds:
    return Thresholds.of(
        classes=("person",),
        model_classes=("person", "car"),
        model_thresholds=(0.5, 0.4),
        min_score=min_score,
    )


def test_tracks_go_on_below_the_model_s_threshold_but_not_below_a_client_s() -> None:
    faint, low, *_ = thresholds(0.0).tracker_settings().levels()
    assert faint[0] < low[0] == np.float32(0.5)
    faint, low, *_ = thresholds(0.3).tracker_settings().levels()
    assert faint[0] == low[0] == np.float32(0.3)


def test_classes_that_nobody_asked_for_are_at_no_level() -> None:
    assert np.isinf(thresholds(0.0).tracker_settings().levels()[:, 1]).all()

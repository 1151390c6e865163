import numpy as np
import pytest

from vigil.data import U8
from vigil.host.motion import StillScene, may_skip
from vigil.spec import (
    AbsenceRule,
    LineRule,
    MarkerRule,
    MotionGate,
    OccupancyRule,
    TrackRule,
    ZoneRule,
)
from vigil.vision.letterbox import Letterbox

LETTERBOX = Letterbox.fit((360, 640), (320, 512))
GATE = MotionGate(enabled=True, max_gap_s=2.0)
SQUARE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))


def frame(*, x: int | None = None, seed: int = 0, noise: float = 2.0) -> U8:
    """A noisy letterboxed street, with somebody 12 by 30 px at ``x``."""
    rng = np.random.default_rng(7)
    scene = rng.integers(60, 190, (320, 512, 3)).astype(np.float32)
    if x is not None:
        scene[150:180, x : x + 12] = (40, 40, 200)
    noisy = scene + np.random.default_rng(seed).normal(0, noise, scene.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_a_still_scene_is_skipped_but_never_for_longer_than_the_gap() -> None:
    scene = StillScene()
    skipped = [
        scene.skips(frame(seed=i, noise=4.0), LETTERBOX, time_s=i * 0.2, gate=GATE)
        for i in range(31)
    ]
    looked_at = [i * 0.2 for i, one in enumerate(skipped) if not one]
    assert looked_at == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_who_comes_goes_or_moves_is_not_skipped() -> None:
    scene = StillScene()
    places = [None, 100, 108, 116, None, None]
    skipped = [
        scene.skips(frame(x=x, seed=i), LETTERBOX, time_s=i * 0.2, gate=GATE)
        for i, x in enumerate(places)
    ]
    assert skipped == [False, False, False, False, False, True]


def test_slow_motion_adds_up() -> None:
    scene = StillScene()
    skipped = [
        scene.skips(frame(x=100 + i // 6, seed=i), LETTERBOX, time_s=i * 0.1, gate=GATE)
        for i in range(19)
    ]
    assert 2 <= skipped[1:].count(False) <= 6


@pytest.mark.parametrize(
    ("rule", "skips"),
    [
        (LineRule(rule_id="a", points=SQUARE[:2]), True),
        (TrackRule(rule_id="a"), True),
        (ZoneRule(rule_id="a", polygon=SQUARE), True),
        (ZoneRule(rule_id="a", polygon=SQUARE, dwell_s=3.0), False),
        (MarkerRule(rule_id="a"), False),
        (OccupancyRule(rule_id="a", polygon=SQUARE), False),
        (AbsenceRule(rule_id="a", polygon=SQUARE, duration_s=60.0), False),
    ],
)
def test_rules_about_what_stays_want_every_frame(rule: object, skips: bool) -> None:
    assert may_skip((TrackRule(rule_id="t"), rule)) is skips  # type: ignore[arg-type]


def test_a_picture_of_another_size_is_looked_at() -> None:
    scene = StillScene()
    assert not scene.skips(frame(), LETTERBOX, time_s=0.0, gate=GATE)
    other = Letterbox.fit((480, 640), (320, 512))
    assert not scene.skips(frame(), other, time_s=0.1, gate=GATE)

"""Whether a picture shows anything new: a frame in which nothing moves needs no inference."""

import cv2
import numpy as np

from vigil.data import U8
from vigil.spec import DirectionRule, LineRule, MotionGate, Rule, SpeedRule, TrackRule, ZoneRule
from vigil.vision.letterbox import Letterbox

_WIDTH_PX = 128  # of the picture that is compared
_STEP = 8  # grey levels by which a place must differ: four times a noisy sensor's, averaged over it
_LEAST_PLACES = 3  # a person 30 px tall in a picture of 640 px is a dozen


def may_skip(rules: tuple[Rule, ...]) -> bool:
    """Whether rules speak of moving objects alone: those that time who stays want every frame."""
    return all(
        (isinstance(rule, ZoneRule) and not rule.dwell_s)
        or isinstance(rule, LineRule | TrackRule | DirectionRule | SpeedRule)
        for rule in rules
    )


class StillScene:
    """Compares each frame with the last one that was analysed, so that slow motion adds up.

    One thread uses it, a reader's.
    """

    def __init__(self) -> None:
        self._analysed: U8 | None = None
        self._analysed_s = 0.0

    def skips(self, drawn: U8, letterbox: Letterbox, *, time_s: float, gate: MotionGate) -> bool:
        """Whether a letterboxed frame, (H, W, 3) uint8 BGR, shows what the last analysed one showed.

        Never for longer than the gate's ``max_gap_s``. A frame that is not skipped counts as analysed.
        """
        small = _small(drawn, letterbox)
        if (
            self._analysed is not None
            and self._analysed.shape == small.shape
            and time_s - self._analysed_s < gate.max_gap_s
            and _places(small, self._analysed) < _LEAST_PLACES
        ):
            return True
        self._analysed, self._analysed_s = small, time_s
        return False


def _small(drawn: U8, letterbox: Letterbox) -> U8:
    """The picture without its padding, grey and small."""
    height, width = letterbox.scaled_hw
    top, left = letterbox.top, letterbox.left
    inner = drawn[top : top + height, left : left + width]
    size = (min(_WIDTH_PX, width), max(1, round(height * min(_WIDTH_PX, width) / width)))
    grey = cv2.cvtColor(cv2.resize(inner, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.uint8)


def _places(one: U8, other: U8) -> int:
    """How many places of two pictures differ."""
    return int(np.count_nonzero(cv2.absdiff(one, other) >= _STEP))

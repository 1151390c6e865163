"""A figure's way over the ground: where it is, which way it faces, how far it has gone, at any time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32
from vigil.scene.sprite import Placement

_STEP_S = 0.04
_BRAKE_STEPS = 20


@dataclass(frozen=True, slots=True)
class Journey:
    """A way sampled every 0.04 s from ``start_s``."""

    start_s: float
    xy_m: F32  # (T, 2)
    yaw_rad: F32  # (T,)
    gone_m: F32  # (T,)

    @property
    def end_s(self) -> float:
        """When the figure has arrived, and is gone."""
        return self.start_s + (len(self.xy_m) - 1) * _STEP_S

    @property
    def halt_s(self) -> float:
        """The middle of the time in which the figure stands still; of a way with a halt."""
        still = np.flatnonzero(np.abs(np.diff(self.xy_m, axis=0)).sum(axis=1) < 1e-6)
        return self.start_s + float(still.mean()) * _STEP_S

    def place(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the figure is at (T,) times, (T, 2) in metres; before its start and after its end, there."""
        steps = (times_s - self.start_s) / _STEP_S
        known = np.arange(len(self.xy_m))
        return np.stack([np.interp(steps, known, self.xy_m[:, axis]) for axis in (0, 1)], axis=1)

    def at(self, time_s: float, *, stride_m: float) -> Placement | None:
        """The figure at a time; None before its start and after its end."""
        place = (time_s - self.start_s) / _STEP_S
        if not 0 <= place <= len(self.xy_m) - 1:
            return None
        low = min(int(place), len(self.xy_m) - 2)
        part = place - low
        x, y = (self.xy_m[low] * (1 - part) + self.xy_m[low + 1] * part).tolist()
        gone = float(self.gone_m[low] * (1 - part) + self.gone_m[low + 1] * part)
        return Placement(x, y, float(self.yaw_rad[low]), gone / stride_m % 1.0)


def travel(
    corners_m: Sequence[tuple[float, float]],
    *,
    speed_mps: float,
    start_s: float,
    round_s: float = 0.9,
) -> Journey:
    """A way along corners at a constant speed, its corners rounded over ``round_s`` seconds."""
    points = np.array(corners_m, np.float64)
    legs = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], legs.cumsum()])
    count = max(int(along[-1] / speed_mps / _STEP_S), 2)
    where = np.linspace(0, along[-1], count + 1)
    xy = np.stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)], axis=1)
    window = min(max(int(round_s / _STEP_S), 1), count) | 1
    # The ends are carried on in their own direction, so that rounding does not hold them back.
    half = window // 2
    ramp = np.arange(1, half + 1)[:, None]
    before = xy[0] - (xy[1] - xy[0]) * ramp[::-1]
    after = xy[-1] + (xy[-1] - xy[-2]) * ramp
    padded = np.concatenate([before, xy, after])
    kernel = np.full(window, 1 / window)
    smooth = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)
    step = np.gradient(smooth, axis=0)
    gone = np.concatenate([[0.0], np.linalg.norm(np.diff(smooth, axis=0), axis=1).cumsum()])
    yaw = np.unwrap(np.arctan2(-step[:, 0], step[:, 1]))
    return Journey(
        start_s, smooth.astype(np.float32), yaw.astype(np.float32), gone.astype(np.float32)
    )


def resting(at_m: tuple[float, float], *, yaw_rad: float, from_s: float, until_s: float) -> Journey:
    """Staying at one place."""
    count = max(round((until_s - from_s) / _STEP_S), 1) + 1
    xy_m = np.tile(np.array(at_m, np.float32), (count, 1))
    still = np.zeros(count, np.float32)
    return Journey(from_s, xy_m, still + np.float32(yaw_rad), still)


def halting(journey: Journey, *, at_m: tuple[float, float], for_s: float) -> Journey:
    """The same way with a halt of ``for_s`` seconds where it comes nearest to a place.

    It slows down to the halt and speeds up after it evenly, over `_BRAKE_STEPS` of its steps.
    """
    nearest = int(np.linalg.norm(journey.xy_m - np.array(at_m, np.float32), axis=1).argmin())
    away = np.abs(np.arange(len(journey.xy_m)) - nearest)
    takes_s = _STEP_S / np.sqrt(np.clip((away + 0.5) / _BRAKE_STEPS, None, 1.0))
    takes_s[nearest] += for_s
    at_s = np.cumsum(takes_s) - takes_s  # when each of the places is reached
    times_s = np.arange(0.0, at_s[-1], _STEP_S)
    left_s = at_s + np.where(away == 0, for_s, 0.0)  # and left
    known_s, index = np.sort(np.concatenate((at_s, left_s[[nearest]]))), np.arange(len(at_s))
    places = np.insert(index, nearest, nearest)
    where = np.interp(times_s, known_s, places)

    def along(values: F32) -> F32:
        return np.asarray(np.interp(where, index, values), np.float32)

    xy_m = np.stack([along(journey.xy_m[:, axis]) for axis in (0, 1)], axis=1)
    return Journey(journey.start_s, xy_m, along(journey.yaw_rad), along(journey.gone_m))

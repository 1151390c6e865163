"""Whether a camera's tracks are still as they were, by its own reference. Never called accuracy.

A camera's first REFERENCE blocks of 25 ended tracks since the service's start are its reference. Each CURRENT
blocks after them, none used twice, are compared with it by the rank-sum test, scores and fragmentation
apart. A test whose p-value is below LEVEL says that the camera changed: one in a hundred, where nothing did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vigil.fleet.rank_test import rank_sum_p

REFERENCE = 24  # blocks: 600 tracks
CURRENT = 12  # 300 tracks
LEVEL = 0.01
KINDS = ("score", "fragmentation")


class DriftReading(NamedTuple):
    """A camera's newest test of one kind."""

    stream_id: str
    of: str
    p_value: float
    changed: bool
    reference: float  # mean of the reference's blocks
    current: float  # mean of the blocks that were tested


@dataclass(slots=True)
class _Camera:
    reference: list[tuple[float, float]] = field(default_factory=list)
    current: list[tuple[float, float]] = field(default_factory=list)
    readings: list[DriftReading] = field(default_factory=list)


class DriftWatch:
    """Every camera's reference and newest tests. One event loop uses it."""

    def __init__(self) -> None:
        self._cameras: dict[str, _Camera] = {}

    def take(self, stream_id: str, *, score: float, fragments: float) -> None:
        """A block of a camera's tracks."""
        camera = self._cameras.setdefault(stream_id, _Camera())
        if len(camera.reference) < REFERENCE:
            camera.reference.append((score, fragments))
            return
        camera.current.append((score, fragments))
        if len(camera.current) == CURRENT:
            camera.readings = [
                _reading(stream_id, of, before, now)
                for of, before, now in zip(
                    KINDS,
                    zip(*camera.reference, strict=True),
                    zip(*camera.current, strict=True),
                    strict=True,
                )
            ]
            camera.current = []

    def forget(self, stream_id: str) -> None:
        """The stream is removed, or has another source: it begins anew."""
        self._cameras.pop(stream_id, None)

    def readings(self) -> list[DriftReading]:
        """The newest tests of all cameras that were tested."""
        return [reading for camera in self._cameras.values() for reading in camera.readings]


def _reading(
    stream_id: str, of: str, before: Sequence[float], now: Sequence[float]
) -> DriftReading:
    p_value = rank_sum_p(before, now)
    return DriftReading(
        stream_id,
        of,
        p_value=p_value,
        changed=p_value < LEVEL,
        reference=sum(before) / len(before),
        current=sum(now) / len(now),
    )

"""Time as an interface, so that tests own it.

Ages and deadlines use the monotonic clock, which is one for all processes of a machine; UTC is read
once per run and added (see `Anchor`), so that a step of the wall clock changes nothing inside.
"""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """What the code reads time from."""

    def monotonic_s(self) -> float:
        """Seconds of the machine's monotonic clock."""

    def utc_s(self) -> float:
        """Seconds since 1970-01-01 UTC by the wall clock."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic_s(self) -> float:
        """Seconds of CLOCK_MONOTONIC, comparable between processes of one boot."""
        return time.monotonic()

    def utc_s(self) -> float:
        """Seconds since the epoch by the wall clock, which may step."""
        return time.time()


@dataclass(frozen=True, slots=True)
class Anchor:
    """One reading of both clocks: turns monotonic seconds into UTC without reading the wall again."""

    monotonic_s: float
    utc_s: float

    @classmethod
    def now(cls, clock: Clock) -> "Anchor":
        """Read both clocks."""
        return cls(monotonic_s=clock.monotonic_s(), utc_s=clock.utc_s())

    def to_utc_s(self, monotonic_s: float) -> float:
        """UTC seconds of a monotonic reading."""
        return self.utc_s + (monotonic_s - self.monotonic_s)


def rfc3339(utc_s: float) -> str:
    """UTC seconds as RFC 3339 with milliseconds: ``2026-01-31T08:15:00.250Z``."""
    fraction, whole = math.modf(utc_s)
    second, microseconds = divmod(int(whole) * 1_000_000 + round(fraction * 1e6), 1_000_000)
    return f"{_second(second)}.{microseconds // 1000:03d}Z"


@lru_cache(maxsize=16)  # an event has two or three times, of the same few seconds
def _second(utc_s: int) -> str:
    return f"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%dT%H:%M:%S}"

"""A clock that tests own, hooks that remember, and a Redis server."""

from collections import Counter
from collections.abc import Iterator

import pytest

from vigil.events.embedded import EmbeddedRedis


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.utc_offset_s = 1_700_000_000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s + self.utc_offset_s


class Remembered:
    """Hooks that keep what they are told."""

    def __init__(self) -> None:
        self.committed = 0
        self.published: list[tuple[str, str, float | None]] = []
        self.batches: list[int] = []
        self.dropped: Counter[str] = Counter()

    def on_committed(self, *, events: int, wait_s: float) -> None:
        assert wait_s >= 0
        self.committed += events

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        self.published.append((event_type, phase, latency_s))

    def on_batch(self, *, events: int, duration_s: float) -> None:
        self.batches.append(events)

    def on_dropped(self, reason: str, events: int) -> None:
        self.dropped[reason] += events


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hooks() -> Remembered:
    return Remembered()


@pytest.fixture
def redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server

"""Whether processes grow: samples of what they hold, judged within each process's life."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vigil.bench.processes import Holdings

RSS_LIMIT_BYTES_PER_H = 1e6
EDGE = 0.2  # of a life's judged part: what it held in its first and in its last fifth
_COUNTED = ("descriptors", "memfds", "threads")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process held at one moment."""

    at_s: float  # since the measurement began
    process: str  # what it is: service, hosts, engine, redis
    pid: int
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Growth:
    """How the processes of one kind grew over the judged part of their lives."""

    process: str
    lives: int
    judged_h: float
    rss_bytes: int  # at the end
    rss_bytes_per_h: float
    descriptors: int  # more at the end than at the beginning, in the life where it was most
    memfds: int
    threads: int

    @property
    def flat(self) -> bool:
        """Nothing that can be counted grew, and memory by less than 1 MB an hour."""
        counted = self.descriptors <= 0 and self.memfds <= 0 and self.threads <= 0
        return counted and self.rss_bytes_per_h < RSS_LIMIT_BYTES_PER_H


def growth(samples: Sequence[Sample], *, warm_up_s: float) -> list[Growth]:
    """One for each kind of process that lived long enough to be judged.

    A killed process is followed by another: what a life gained is lost with it, and a young process
    grows. So the first ``warm_up_s`` of every life are left out, lives that leave less than that again
    are not judged, and the slope is the one that all lives of a kind share, each with a level of its
    own (least squares within groups). What is counted in whole numbers is compared by its floor, since
    a client's connection at the moment of a sample is no leak; and not by its least, since the engine's
    connection is away while the engine is started again.
    """
    ordered = sorted(samples, key=lambda sample: (sample.process, sample.pid, sample.at_s))
    by_kind = itertools.groupby(ordered, key=lambda sample: sample.process)
    return [found for kind, group in by_kind if (found := _of_kind(kind, list(group), warm_up_s))]


def _of_kind(kind: str, samples: list[Sample], warm_up_s: float) -> Growth | None:
    lives = list(_lives(samples, warm_up_s))
    if not lives:
        return None
    gains = [_gain(life) for life in lives]
    return Growth(
        process=kind,
        lives=len(lives),
        judged_h=round(sum(life[-1].at_s - life[0].at_s for life in lives) / 3600, 3),
        rss_bytes=max(lives, key=lambda life: life[-1].at_s)[-1].holdings.rss_bytes,
        rss_bytes_per_h=round(_shared_slope(lives) * 3600),
        **{name: max(gain[name] for gain in gains) for name in _COUNTED},
    )


def _lives(samples: list[Sample], warm_up_s: float) -> Iterator[list[Sample]]:
    for _, group in itertools.groupby(samples, key=lambda sample: sample.pid):
        life = list(group)
        born_s, end_s = life[0].at_s, life[-1].at_s
        judged = [sample for sample in life if sample.at_s - born_s >= warm_up_s]
        if len(judged) >= 2 and end_s - judged[0].at_s >= warm_up_s:
            yield judged


def _shared_slope(lives: list[list[Sample]]) -> float:
    """Bytes a second."""
    times, sizes = [], []
    for life in lives:
        at_s = np.array([sample.at_s for sample in life])
        rss = np.array([float(sample.holdings.rss_bytes) for sample in life])
        times.append(at_s - at_s.mean())
        sizes.append(rss - rss.mean())
    t, y = np.concatenate(times), np.concatenate(sizes)
    return float(t @ y / (t @ t))


def _gain(life: list[Sample]) -> dict[str, int]:
    count = max(1, round(len(life) * EDGE))
    first, last = life[:count], life[-count:]
    return {
        name: _floor(getattr(sample.holdings, name) for sample in last)
        - _floor(getattr(sample.holdings, name) for sample in first)
        for name in _COUNTED
    }


def _floor(counts: Iterable[int]) -> int:
    """What nine in ten of the counts reach."""
    ordered = sorted(counts)
    return ordered[len(ordered) // 10]

"""How often drift is told of cameras that did not change, by their own tracks played on without end.

No recording is long enough: a test takes 900 tracks. So a camera's tracks are carried on by drawing runs of
consecutive ones, with replacement, which keeps what neighbours have in common (moving-block bootstrap:
Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 1989).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.fleet.drift import CURRENT, KINDS, REFERENCE, DriftWatch
from vigil.host.track_tally import BLOCK

F64 = NDArray[np.float64]

RUN = 10  # consecutive tracks that are drawn together
LEAST_TRACKS = RUN + 2  # of a camera, for runs of them to differ


def false_alarms(cameras: Sequence[F64], *, repeats: int, seed: int) -> Mapping[str, int]:
    """How many of ``len(cameras) * repeats`` tests say that a camera changed, by `vigil.fleet.drift.KINDS`.

    ``cameras``: each one's ended tracks in order, (N, 2): mean score, and 1 where it was lost within the
    picture. Raises ValueError where a camera has fewer than LEAST_TRACKS.
    """
    rng = np.random.default_rng(seed)
    alarms = Counter(dict.fromkeys(KINDS, 0))
    for tracks in cameras:
        if len(tracks) < LEAST_TRACKS:
            raise ValueError(
                f"{len(tracks)} tracks of a camera; at least {LEAST_TRACKS} are needed"
            )
        for _ in range(repeats):
            watch = DriftWatch()
            for block in _carried_on(tracks, rng).mean(axis=1).tolist():
                watch.take("camera", score=block[0], fragments=block[1])
            alarms.update(reading.of for reading in watch.readings() if reading.changed)
    return alarms


def _carried_on(tracks: F64, rng: np.random.Generator) -> F64:
    """(blocks, BLOCK, 2): what one test takes, of runs at random."""
    count = (REFERENCE + CURRENT) * BLOCK
    begins = rng.integers(0, len(tracks) - RUN + 1, -(-count // RUN))
    places = (begins[:, None] + np.arange(RUN)).reshape(-1)[:count]
    drawn: F64 = tracks[places].reshape(-1, BLOCK, 2)
    return drawn

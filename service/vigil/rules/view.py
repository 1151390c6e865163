"""How a picture compares with what its camera usually shows.

Slopes are compared, not brightness: they outlast a cloud, a lamp and automatic exposure. Measured on
the val videos and rendered scenes, day and night (DECISIONS.md, "Camera health").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32, U8, Glance

Bool = NDArray[np.bool_]

REGIONS = (4, 4)  # what is in front of one region says nothing of the others
BEST_SHARE = 80  # percentile of the regions' likeness: traffic may fill four fifths of the picture
MEMORY_S = 60.0
LEAST_LOOKS = 15
LEAST_LOOKS_S = 3.0
STRUCTURE = 1.0  # standard deviation of slopes that a region needs to be compared
COARSE = 4  # cells whose mean luma is a place of the coarse picture


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture beside the usual one. ``nan`` where there is nothing to compare."""

    best: float  # correlation of slopes in the most alike fifth of the regions, -1 to 1
    median: float  # the same of the middle region
    sharpness: float  # fine slopes over coarse ones, beside the usual: 1 as ever, 0 all blurred
    detail: float  # fine slopes beside the usual
    contrast: float  # spread of luma beside the usual


class View:
    """The usual look of a camera, learnt from its pictures. ``hidden`` cells (72, 128) are left out."""

    def __init__(self, hidden: Bool) -> None:
        self._seen = ~hidden
        self.forget()

    def forget(self) -> None:
        """Begin to learn anew."""
        self._edges: F32 = np.zeros(self._seen.shape, np.float32)
        self._fine = self._coarse = self._spread = 0.0
        self._looks = 0
        self._first_s = self._last_s = 0.0

    @property
    def known(self) -> bool:
        """Whether enough was seen to compare with."""
        return self._looks >= LEAST_LOOKS and self._last_s - self._first_s >= LEAST_LOOKS_S

    def learn(self, glance: Glance, time_s: float) -> None:
        """Take a picture for usual: the mean of all at first, of about the last minute later."""
        if not self._looks:
            self._first_s = self._last_s = time_s
        self._looks += 1
        share = max(1.0 / self._looks, min((time_s - self._last_s) / MEMORY_S, 0.1))
        self._last_s = time_s
        fine, coarse, spread = self._measure(glance)
        self._edges += np.float32(share) * (glance.edges - self._edges)
        self._fine += share * (fine - self._fine)
        self._coarse += share * (coarse - self._coarse)
        self._spread += share * (spread - self._spread)

    def compare(self, glance: Glance) -> Likeness:
        """How alike a picture is to the usual one."""
        fine, coarse, spread = self._measure(glance)
        alike = self._likenesses(glance.edges.astype(np.float32))
        best, median = (
            np.percentile(alike, (BEST_SHARE, 50)).tolist() if len(alike) else (np.nan, np.nan)
        )
        usual = self._fine / max(self._coarse, 0.1)
        return Likeness(
            best=best,
            median=median,
            sharpness=fine / max(coarse, 0.1) / max(usual, 0.1),
            detail=fine / max(self._fine, 0.1),
            contrast=spread / max(self._spread, 0.1),
        )

    def brightness(self, glance: Glance) -> tuple[float, float]:
        """The 95th percentile and the standard deviation of luma, 0 to 255, over what is seen."""
        luma = luma_of(glance.colour)[self._seen]
        if not len(luma):
            return 255.0, 255.0
        return float(np.percentile(luma, 95)), float(luma.std())

    def _measure(self, glance: Glance) -> tuple[float, float, float]:
        """Fine slopes, coarse slopes and the spread of coarse luma."""
        rows, columns = self._seen.shape
        shape = (rows // COARSE, COARSE, columns // COARSE, COARSE)
        weight = self._seen.reshape(shape).sum(axis=(1, 3), dtype=np.float32)  # (18, 32)
        luma = (luma_of(glance.colour) * self._seen).reshape(shape).sum(axis=(1, 3))
        luma /= np.maximum(weight, 1.0)
        seen = weight > 0.0
        if not seen.any():
            return 0.0, 0.0, 0.0
        down = np.abs(np.diff(luma, axis=0))[seen[1:] & seen[:-1]]
        across = np.abs(np.diff(luma, axis=1))[seen[:, 1:] & seen[:, :-1]]
        coarse = (down.sum() + across.sum()) / max(len(down) + len(across), 1)
        return float(glance.edges[self._seen].mean()), float(coarse), float(luma[seen].std())

    def _likenesses(self, edges: F32) -> F32:
        """Correlation of slopes with the usual ones, by region that has any."""
        usual, now, weight = (
            self._regions(array) for array in (self._edges, edges, self._seen.astype(np.float32))
        )  # (16, cells)
        count = np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
        usual = (usual - (usual * weight).sum(axis=1, keepdims=True) / count) * weight
        now = (now - (now * weight).sum(axis=1, keepdims=True) / count) * weight
        power = (usual**2).sum(axis=1), (now**2).sum(axis=1)
        likeness = (usual * now).sum(axis=1) / np.sqrt(np.maximum(power[0] * power[1], 1e-6))
        structured = np.sqrt(power[0] / count[:, 0]) >= STRUCTURE
        return np.asarray(likeness[structured], np.float32)

    @staticmethod
    def _regions(cells: F32) -> F32:
        rows, columns = (size // parts for size, parts in zip(cells.shape, REGIONS, strict=True))
        split = cells.reshape(REGIONS[0], rows, REGIONS[1], columns)
        return split.transpose(0, 2, 1, 3).reshape(-1, rows * columns)


def luma_of(colour: U8) -> F32:
    """(H, W) luma, 0 to 255, of (H, W, 3) BGR (ITU-R BT.601)."""
    return np.asarray(colour @ np.array([0.114, 0.587, 0.299], np.float32), np.float32)

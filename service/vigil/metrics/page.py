"""The counters of one child process, in shared memory: they outlive the child that wrote them.

A page has a heartbeat, one histogram a stage, gauges, and one record a camera. A record is written by
one process under a lock of its own and guarded for readers elsewhere by a sequence number (odd while
it changes), so that every scrape sees a balance: frames read = outcomes + in flight.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vigil.data import I64, CropOutcome, Outcome
from vigil.ipc.slab import Slab

STAGES = (
    *("decode", "convert", "resize", "queue", "batch_wait"),
    *("infer", "postprocess", "track", "rules"),
    *("crop", "crop_wait", "classify"),  # of a second stage: a crop's, not a frame's
)
BUCKETS_S = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)
BATCH_BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
CROP_OUTCOMES: tuple[CropOutcome, ...] = get_args(CropOutcome)
MAX_CLASSES = 96  # counters a record has for detections by class
MAX_LABELS = 64  # and for tracks by the label that second stages gave them

_OUTCOME_INDEX = {outcome: index for index, outcome in enumerate(OUTCOMES)}
_STAGE_ROW = {stage: row for row, stage in enumerate(STAGES)}
_BUCKET_CELLS = max(len(BUCKETS_S), len(BATCH_BUCKETS)) + 1
_HISTOGRAM_CELLS = _BUCKET_CELLS + 1  # and the sum
_HEADER_CELLS = 16
_FIRST_CROP = 8  # of the header: crops by outcome
_SEQ, _READ, _IN_FLIGHT, _FIRST_OUTCOME = 0, 1, 2, 3
_LAST_FRAME = _FIRST_OUTCOME + len(OUTCOMES)
_FIRST_CLASS = _LAST_FRAME + 1
_FIRST_LABEL = _FIRST_CLASS + MAX_CLASSES
_READER = _FIRST_LABEL + MAX_LABELS
_RECORD_CELLS = _READER + 1
_TRIES = 1000  # reads of a record that changes meanwhile, about a millisecond


@dataclass(slots=True)
class Account:
    """What became of a stream's frames."""

    read: int = 0
    in_flight: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    detections: I64 = field(default_factory=lambda: np.zeros(MAX_CLASSES, np.int64))
    labels: I64 = field(default_factory=lambda: np.zeros(MAX_LABELS, np.int64))
    last_frame_s: float = 0.0  # UTC; 0: none yet

    def add(self, other: "Account") -> "Account":
        """Both together: what dead hosts counted and what the live one does."""
        return Account(
            read=self.read + other.read,
            in_flight=self.in_flight + other.in_flight,
            outcomes={name: self.outcomes[name] + other.outcomes[name] for name in OUTCOMES},
            detections=self.detections + other.detections,
            labels=self.labels + other.labels,
            last_frame_s=max(self.last_frame_s, other.last_frame_s),
        )

    def closed(self) -> "Account":
        """The account of a host that died: what was in flight is lost, and says so."""
        lost = self.read - sum(self.outcomes.values())
        outcomes = {**self.outcomes, "dropped_error": self.outcomes["dropped_error"] + lost}
        return replace(self, in_flight=0, outcomes=outcomes)


@dataclass(slots=True)
class Distribution:
    """A histogram's cells: counts by bucket (the last is above all bounds) and the sum."""

    counts: I64
    total: float

    def add(self, other: "Distribution") -> "Distribution":
        """Both together."""
        return Distribution(self.counts + other.counts, self.total + other.total)


class Ledger:
    """The writing side of one record: a camera's frames.

    It writes through plain views of the memory: one number is had from them in a third of numpy's time.
    """

    def __init__(self, cells: I64) -> None:
        self._cells, self._floats = _views(cells)
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Begin a new stream's account."""
        with self._lock:
            self._cells[_SEQ] |= 1
            for cell in range(_READ, _RECORD_CELLS):
                self._cells[cell] = 0
            self._cells[_SEQ] += 1

    def read(self, frame_utc_s: float, *, outcome: Outcome | None = None) -> None:
        """A frame was grabbed or pushed; without an outcome it is in flight until `outcome`."""
        cells = self._cells
        changed = _IN_FLIGHT if outcome is None else _FIRST_OUTCOME + _OUTCOME_INDEX[outcome]
        with self._lock:
            cells[_SEQ] += 1
            cells[_READ] += 1
            cells[changed] += 1
            self._floats[_LAST_FRAME] = frame_utc_s
            cells[_SEQ] += 1

    def outcome(self, outcome: Outcome) -> None:
        """What became of a frame in flight."""
        cells = self._cells
        with self._lock:
            cells[_SEQ] += 1
            cells[_IN_FLIGHT] -= 1
            cells[_FIRST_OUTCOME + _OUTCOME_INDEX[outcome]] += 1
            cells[_SEQ] += 1

    def set_reader(self, thread_ident: int) -> None:
        """The thread that decodes this camera, to be known by if the process dies in it."""
        self._cells[_READER] = thread_ident

    def in_flight(self) -> int:
        """Frames that were read and have no outcome yet."""
        return self._cells[_IN_FLIGHT]

    def detected(self, class_ids: I64) -> None:
        """Objects found in an analysed frame; classes past the first 96 have no counter."""
        for class_id in class_ids.tolist():
            if class_id < MAX_CLASSES:
                self._cells[_FIRST_CLASS + class_id] += 1

    def labelled(self, labels: Iterable[int]) -> None:
        """Tracks that ended with a second stage's label; labels past the first 64 have no counter."""
        for label in labels:
            if label < MAX_LABELS:
                self._cells[_FIRST_LABEL + label] += 1


class StageTimes:
    """The writing side of a page's histograms. Threads of the process share it."""

    def __init__(self, cells: I64) -> None:
        self._cells, self._floats = _views(cells)
        self._lock = threading.Lock()

    def observe(self, stage: str, seconds: float, *, times: int = 1) -> None:
        """One frame, or so many, spent that long in a stage."""
        self._count(_STAGE_ROW[stage], bisect_left(BUCKETS_S, seconds), seconds, times)

    def observe_batch(self, size: int) -> None:
        """One batch of that many frames was inferred."""
        self._count(len(STAGES), bisect_left(BATCH_BUCKETS, size), size)

    def _count(self, row: int, bucket: int, value: float, times: int = 1) -> None:
        first = row * _HISTOGRAM_CELLS
        with self._lock:
            self._cells[first + bucket] += times
            self._floats[first + _BUCKET_CELLS] += value * times


class Page:
    """All counters of one child. The child writes through ledgers and stage times."""

    def __init__(self, slab: Slab, *, records: int) -> None:
        self.slab = slab
        cells: I64 = slab.bytes.view(np.int64)
        self._header: NDArray[np.float64] = cells[:_HEADER_CELLS].view(np.float64)
        self._crops: I64 = cells[_FIRST_CROP : _FIRST_CROP + len(CROP_OUTCOMES)]
        start = _HEADER_CELLS
        end = start + (len(STAGES) + 1) * _HISTOGRAM_CELLS
        self._histograms: I64 = cells[start:end].reshape(-1, _HISTOGRAM_CELLS)
        self._records: I64 = cells[end : end + records * _RECORD_CELLS].reshape(-1, _RECORD_CELLS)
        self.times = StageTimes(self._histograms)

    @classmethod
    def create(cls, name: str, *, records: int) -> "Page":
        """A page of zeros for a new child with room for ``records`` cameras."""
        histograms = (len(STAGES) + 1) * _HISTOGRAM_CELLS
        cells = _HEADER_CELLS + histograms + records * _RECORD_CELLS
        return cls(Slab.create(name, cells * 8), records=records)

    def ledger(self, record: int) -> Ledger:
        """The writing side of a camera's record."""
        return Ledger(self._records[record])

    def beat(self, now_s: float) -> None:
        """The child's loop made progress at this monotonic time."""
        self._header[0] = now_s

    def last_beat_s(self) -> float:
        """Monotonic time of the child's last progress; 0 before the first."""
        return float(self._header[0])

    def set_queue(self, frames: int, oldest_utc_s: float) -> None:
        """What waits in the engine's queue now; ``oldest_utc_s`` is 0 where nothing does."""
        self._header[1] = frames
        self._header[2] = oldest_utc_s

    def queue(self) -> tuple[int, float]:
        """Frames waiting and the UTC time of the oldest, 0 where none waits."""
        return int(self._header[1]), float(self._header[2])

    def count_crop(self, outcome: CropOutcome) -> None:
        """What became of a crop of a second stage. One thread of the child calls it."""
        self._crops[CROP_OUTCOMES.index(outcome)] += 1

    def crops(self) -> I64:
        """Crops by `CROP_OUTCOMES`."""
        return self._crops.copy()

    def account(self, record: int) -> Account | None:
        """A camera's account as it is at one instant.

        None where its writer stays in the middle of a change: it waits for a core, or it is dead.
        """
        cells = self._records[record]
        for _ in range(_TRIES):
            before = int(cells[_SEQ])
            copy = cells.copy()
            if before % 2 == 0 and int(cells[_SEQ]) == before:
                return _account_of(copy)
        return None

    def outcomes(self, record: int) -> dict[Outcome, int]:
        """What became of a camera's frames so far, each number for itself."""
        counts = self._records[record][_FIRST_OUTCOME:_LAST_FRAME].tolist()
        return dict(zip(OUTCOMES, counts, strict=True))

    def reader(self, record: int) -> int:
        """The thread that decodes a camera, as `threading.get_ident` names it; 0: none."""
        return int(self._records[record][_READER])

    def final_account(self, record: int) -> Account:
        """A camera's account after its writer's end, which may have come in the middle of a change."""
        return _account_of(self._records[record].copy()).closed()

    def stage(self, stage: str) -> Distribution:
        """Seconds spent in a stage, by `BUCKETS_S`."""
        return self._distribution(STAGES.index(stage), len(BUCKETS_S))

    def batches(self) -> Distribution:
        """Sizes of batches, by `BATCH_BUCKETS`."""
        return self._distribution(len(STAGES), len(BATCH_BUCKETS))

    def _distribution(self, row: int, bounds: int) -> Distribution:
        cells = self._histograms[row].copy()
        total = float(cells.view(np.float64)[_BUCKET_CELLS])
        return Distribution(cells[: bounds + 1], total)


def _views(cells: I64) -> "tuple[memoryview[int], memoryview[float]]":
    """The same cells in one row as whole numbers and as floats."""
    octets = cells.data.cast("B")
    return octets.cast("q"), octets.cast("d")


def _account_of(cells: I64) -> Account:
    return Account(
        read=int(cells[_READ]),
        in_flight=int(cells[_IN_FLIGHT]),
        outcomes={name: int(cells[_FIRST_OUTCOME + i]) for i, name in enumerate(OUTCOMES)},
        detections=cells[_FIRST_CLASS:_FIRST_LABEL].copy(),
        labels=cells[_FIRST_LABEL:_READER].copy(),
        last_frame_s=float(cells.view(np.float64)[_LAST_FRAME]),
    )

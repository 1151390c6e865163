"""How well tracks agree with labelled ones: MOTA, IDF1, HOTA.

The metrics are TrackEval's (Luiten et al., IJCV 2021; MIT licence), the evaluator of MOTChallenge.
It is imported when first used: `pip install --no-deps trackeval==1.3.0 tabulate`; its metadata also
asks for a second build of OpenCV, which would replace the headless one, and which it only needs for
masks.
"""

import contextlib
import importlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.accuracy.mot import MotBox, read_boxes
from vigil.data import Track, TrackState
from vigil.errors import InvalidConfig

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Identified:
    """The boxes of one frame with the number of the object or track that each belongs to."""

    number: I64  # (N,)
    xyxy: F64  # (N, 4), in one unit for truth and tracks

    @classmethod
    def of_tracks(cls, tracks: Sequence[Track]) -> "Identified":
        """The tracks that a consumer would be shown: those confirmed and detected in this frame."""
        shown = [track for track in tracks if track.state is TrackState.CONFIRMED]
        return cls(
            number=np.array([track.track_id for track in shown], np.int64),
            xyxy=np.array([track.xyxy for track in shown], np.float64).reshape(-1, 4),
        )


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """TrackEval's figures for one clip; a match needs IoU 0.5, HOTA is the mean over 0.05 to 0.95."""

    mota: float
    idf1: float
    hota: float
    detection_accuracy: float  # HOTA's DetA
    association_accuracy: float  # HOTA's AssA
    motp: float
    precision: float
    recall: float
    id_switches: int
    fragments: int
    false_positives: int
    misses: int
    truth_boxes: int
    frames: int

    def as_json(self) -> dict[str, float | int]:
        """The figures by name."""
        return asdict(self)


def read_mot(path: Path) -> dict[int, Identified]:
    """Labelled boxes of a MOTChallenge file, in pixels, by frame number from 1. Raises UnreadableBoxes."""
    labelled: dict[int, list[MotBox]] = defaultdict(list)
    for box in read_boxes(path):
        if box.counts:
            labelled[box.frame].append(box)
    return {frame: _identified(boxes) for frame, boxes in labelled.items()}


def _identified(boxes: Sequence[MotBox]) -> Identified:
    xywh = np.array([(box.left, box.top, box.width, box.height) for box in boxes], np.float64)
    return Identified(
        number=np.array([box.number for box in boxes], np.int64),
        xyxy=np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1),
    )


def score_tracks(truth: Sequence[Identified], tracks: Sequence[Identified]) -> TrackingScores:
    """Compare the tracks of a clip with its truth, frame by frame in the same order."""
    if len(truth) != len(tracks):
        raise ValueError(f"{len(truth)} frames of truth, {len(tracks)} of tracks; give both alike")
    clear, identity, hota = _evaluate(_sequence(truth, tracks))
    return TrackingScores(
        mota=float(clear["MOTA"]),
        idf1=float(identity["IDF1"]),
        hota=float(np.mean(hota["HOTA"])),
        detection_accuracy=float(np.mean(hota["DetA"])),
        association_accuracy=float(np.mean(hota["AssA"])),
        motp=float(clear["MOTP"]),
        precision=float(clear["CLR_Pr"]),
        recall=float(clear["CLR_Re"]),
        id_switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
        false_positives=int(clear["CLR_FP"]),
        misses=int(clear["CLR_FN"]),
        truth_boxes=sum(len(frame.number) for frame in truth),
        frames=len(truth),
    )


def _evaluate(sequence: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """TrackEval's CLEAR, Identity and HOTA results for one sequence in its own form."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its imports by printing
            metrics = importlib.import_module("trackeval.metrics")
    except ImportError as error:
        raise InvalidConfig(
            "evaluation of tracks needs TrackEval; run: "
            "pip install --no-deps trackeval==1.3.0 tabulate"
        ) from error
    quiet = {"PRINT_CONFIG": False}
    judges = (metrics.CLEAR(quiet), metrics.Identity(quiet), metrics.HOTA())
    return tuple(judge.eval_sequence(sequence) for judge in judges)


def _sequence(truth: Sequence[Identified], tracks: Sequence[Identified]) -> dict[str, Any]:
    """The input of TrackEval's metrics: numbers from 0 without gaps, and IoU by frame."""
    truth_ids, truth_count = _renumbered(truth)
    track_ids, track_count = _renumbered(tracks)
    return {
        "num_timesteps": len(truth),
        "num_gt_ids": truth_count,
        "num_tracker_ids": track_count,
        "num_gt_dets": sum(map(len, truth_ids)),
        "num_tracker_dets": sum(map(len, track_ids)),
        "gt_ids": truth_ids,
        "tracker_ids": track_ids,
        "similarity_scores": [_iou(a.xyxy, b.xyxy) for a, b in zip(truth, tracks, strict=True)],
    }


def _renumbered(frames: Sequence[Identified]) -> tuple[list[I64], int]:
    """The numbers of each frame as indices into all that occur, and how many there are."""
    if not frames:
        return [], 0
    unique, index = np.unique(
        np.concatenate([frame.number for frame in frames]), return_inverse=True
    )
    ends = np.cumsum([len(frame.number) for frame in frames])[:-1]
    return [np.asarray(part, np.int64) for part in np.split(index, ends)], len(unique)


def _iou(a: F64, b: F64) -> F64:
    """Intersection over union of every pair: (N, 4) and (M, 4) xyxy to (N, M)."""
    top_left = np.maximum(a[:, None, :2], b[:, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    area_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b - shared, 1e-12))

"""What a training run came to, for the eye: curves, pictures with boxes, the worst cases.

Pictures of the judged set appear in it, so it stays where the set may be.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vigil.accuracy.detector import judge, read_image
from vigil.accuracy.finder import Finder
from vigil.accuracy.matching import Curve, match
from vigil.data import U8, Detections
from vigil.training.labels import CLASSES, Truth

_TILE_PX = (360, 480)
_GREEN, _RED, _WHITE = (80, 220, 80), (60, 60, 240), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture's truth and what was found in it."""

    truth: Truth
    found: Detections


def write_report(
    folder: Path,
    *,
    log: Path,
    finder: Finder,
    truths: Sequence[Truth],
    thresholds: Sequence[float],
) -> list[Path]:
    """Write loss.png, precision_recall.png, samples.png and worst.png; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = [Seen(truth, finder.find(read_image(truth.path))) for truth in truths]
    worst = sorted(seen, key=lambda one: -_mistakes(one, thresholds))[:12]
    samples = [seen[int(i)] for i in np.linspace(0, len(seen) - 1, 12)]
    paths = [folder / f"{name}.png" for name in ("loss", "precision_recall", "samples", "worst")]
    _save(_loss_figure(log), paths[0])
    _save(_curve_figure(seen), paths[1])
    cv2.imwrite(str(paths[2]), _sheet(samples, thresholds))
    cv2.imwrite(str(paths[3]), _sheet(worst, thresholds))
    return paths


def read_log(path: Path) -> list[dict[str, float | str]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _loss_figure(log: Path) -> Figure:
    rows = read_log(log)
    steps = [float(row["step"]) for row in rows]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in ("classes", "boxes"):
        values = np.array([float(row[name]) for row in rows])
        axes.plot(steps, _smooth(values), label=name)
    for before, row in itertools.pairwise(rows):
        if before["stage"] != row["stage"]:
            axes.axvline(float(row["step"]), color="grey", linewidth=0.8)
            axes.annotate(str(row["stage"]), (float(row["step"]), axes.get_ylim()[1]), va="top")
    axes.set_xlabel("step")
    axes.set_ylabel("loss, running mean of 20 entries")
    axes.set_yscale("log")
    axes.legend()
    return figure


def _smooth(values: np.ndarray, width: int = 20) -> np.ndarray:
    total = np.cumsum(np.concatenate([[0.0], values]))
    starts = np.maximum(np.arange(len(values)) - width + 1, 0)
    ends = np.arange(1, len(values) + 1)
    mean: np.ndarray = (total[ends] - total[starts]) / (ends - starts)
    return mean


def _curve_figure(seen: Sequence[Seen]) -> Figure:
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    for class_id, name in enumerate(CLASSES):
        judged = [
            judge(one.truth, one.found, class_id) for one in seen if class_id in one.truth.annotated
        ]
        if any(len(one.objects) for one in judged):
            (curve,) = match(judged, [0.5])
            recall, precision = _points(curve)
            label = f"{name} {curve.average_precision():.2f} ({curve.objects})"
            axes.plot(recall, precision, label=label)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(title="class, AP50 (objects)")
    return figure


def _points(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    hits = np.cumsum(curve.true)
    return hits / max(1, curve.objects), hits / np.arange(1, len(hits) + 1)


def _mistakes(one: Seen, thresholds: Sequence[float]) -> float:
    """Missed objects and false boxes at the operating thresholds."""
    count = 0.0
    for class_id in range(len(CLASSES)):
        if class_id not in one.truth.annotated:
            continue
        judged = judge(one.truth, one.found, class_id)
        (curve,) = match([judged], [0.5])
        taken = curve.score >= thresholds[class_id]
        hits = int(curve.true[taken].sum())
        count += (len(judged.objects) - hits) + (int(taken.sum()) - hits)
    return count


def _sheet(seen: Sequence[Seen], thresholds: Sequence[float]) -> U8:
    """Pictures four in a row: what people labelled in white, what was found in green."""
    tiles = [_tile(one, thresholds) for one in seen]
    blank: U8 = np.zeros((*_TILE_PX, 3), np.uint8)
    tiles += [blank] * (-len(tiles) % 4)
    rows = [np.concatenate(tiles[i : i + 4], axis=1) for i in range(0, len(tiles), 4)]
    sheet: U8 = np.concatenate(rows, axis=0)
    return sheet


def _tile(one: Seen, thresholds: Sequence[float]) -> U8:
    image = read_image(one.truth.path)
    scale = min(_TILE_PX[0] / image.shape[0], _TILE_PX[1] / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    canvas: U8 = np.zeros((*_TILE_PX, 3), np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size)
    for xyxy in one.truth.xyxy_px * scale:
        _box(canvas, xyxy, _WHITE, 1, "")
    for xyxy, score, class_id in zip(
        one.found.xyxy * scale, one.found.score, one.found.class_id, strict=True
    ):
        if score >= thresholds[class_id]:
            unjudged = int(class_id) not in one.truth.annotated
            _box(canvas, xyxy, _RED if unjudged else _GREEN, 2, f"{CLASSES[class_id]} {score:.2f}")
    return canvas


def _box(
    canvas: U8, xyxy: np.ndarray, colour: tuple[int, int, int], width_px: int, text: str
) -> None:
    x1, y1, x2, y2 = (round(float(v)) for v in xyxy)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, width_px)
    if text:
        place = (x1, max(12, y1 - 4))
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)

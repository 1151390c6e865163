"""What a classifier's run came to, for the eye: curves, the confusion matrix, the worst mistakes.

Needs matplotlib (the extra `train`).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vigil.training.classify.judge import F64, reliability
from vigil.training.classify.loop import Epoch, Labelled

_TILE_PX = 128
_COLUMNS, _ROWS = 6, 4
_CAPTION_PX = 18


def write_plots(
    folder: Path,
    *,
    history: Sequence[Epoch],
    classes: Sequence[str],
    data: Labelled,
    logits: F64,
    temperature: float = 1.0,
) -> list[Path]:
    """Write curves, confusion, calibration and mistakes.png of logits (N, classes); gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "curves": _curves(history),
        "confusion": _confusion(classes, data.labels, logits.argmax(axis=1)),
        "calibration": _calibration(data, logits, temperature),
    }
    paths = [folder / f"{name}.png" for name in (*figures, "mistakes")]
    for path, figure in zip(paths[:-1], figures.values(), strict=True):
        _save(figure, path)
    cv2.imwrite(str(paths[-1]), _mistakes(classes, data, logits))
    return paths


def _curves(history: Sequence[Epoch]) -> Figure:
    figure = Figure(figsize=(9, 4))
    losses, accuracies = figure.subplots(1, 2)
    epochs = [row.epoch for row in history]
    losses.plot(epochs, [row.loss for row in history], label="training, augmented")
    losses.plot(epochs, [row.val_loss for row in history], label="validation")
    losses.set(xlabel="epoch", ylabel="loss")
    losses.legend()
    accuracies.plot(epochs, [row.val_accuracy for row in history], label="accuracy")
    accuracies.plot(epochs, [row.val_balanced_accuracy for row in history], label="balanced")
    accuracies.set(xlabel="epoch", ylabel="validation")
    accuracies.legend()
    return figure


def _confusion(
    classes: Sequence[str], truth: NDArray[np.int64], answers: NDArray[np.int64]
) -> Figure:
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (truth, answers), 1)
    side = 2.5 + 0.5 * len(classes)
    figure = Figure(figsize=(side, side))
    axes = figure.subplots()
    axes.imshow(
        counts / np.maximum(1, counts.sum(axis=1, keepdims=True)), cmap="Blues", vmin=0, vmax=1
    )
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if counts[row, column] * 2 > counts[row].sum() else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="answer", ylabel="truth")
    return figure


def _calibration(data: Labelled, logits: F64, temperature: float) -> Figure:
    """How often answers are right against how sure they are, as learnt and with the temperature."""
    figure = Figure(figsize=(4.5, 4.5))
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="grey", linewidth=1, label="honest")
    for fitted, label in ((1.0, "as learnt"), (temperature, f"temperature {temperature:.2f}")):
        rows = reliability(logits, data.labels, temperature=fitted)
        axes.plot(rows[:, 0], rows[:, 1], marker="o", label=label)
    axes.set(xlabel="probability of the answer", ylabel="share that is right")
    axes.legend()
    return figure


def _mistakes(classes: Sequence[str], data: Labelled, logits: F64) -> NDArray[np.uint8]:
    """The wrong answers that were surest, each with answer and truth: (H, W, 3) BGR."""
    answers, rows = logits.argmax(axis=1), np.arange(len(logits))
    excess = logits[rows, answers] - logits[rows, data.labels]
    wrong = [int(i) for i in np.argsort(-excess) if answers[i] != data.labels[i]]
    height = _TILE_PX + _CAPTION_PX
    sheet = np.full((_ROWS * height, _COLUMNS * _TILE_PX, 3), 32, np.uint8)
    for place, i in enumerate(wrong[: _ROWS * _COLUMNS]):
        top, left = place // _COLUMNS * height, place % _COLUMNS * _TILE_PX
        tile = cv2.resize(data.images[i], (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_NEAREST)
        sheet[top : top + _TILE_PX, left : left + _TILE_PX] = tile
        told = f"{classes[answers[i]]} ({classes[data.labels[i]]})"
        at = (left + 2, top + height - 5)
        cv2.putText(sheet, told, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return sheet


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110, bbox_inches="tight")

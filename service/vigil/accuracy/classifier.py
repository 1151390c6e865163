"""How good a classifier is as it is served: calibrated probabilities on labelled pictures, and their cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.accuracy.finder import median_ms
from vigil.data import F32, I64, U8
from vigil.training.classify.examples import ExampleSet, read_archive, read_examples, read_pixels
from vigil.training.classify.judge import Judgement, judge
from vigil.training.labels import UnusableDataSet
from vigil.vision.classifier import CropClassifier

BATCH = 32  # as the engine's batches of crops
_TIMED = 40


@dataclass(frozen=True, slots=True)
class LabelledCrops:
    """Pictures of a classifier's input size, and the index of each one's class among the model's."""

    crops: U8  # (N, S, S, 3) BGR
    labels: I64  # (N,)


def read_crops(path: Path, *, classes: tuple[str, ...], side_px: int) -> LabelledCrops:
    """The pictures of a folder, a CSV, or an archive's part `test`, with the model's labels.

    A set may lack some of the model's classes. Raises UnusableDataSet where it has others.
    """
    archive = path.suffix == ".npz"
    data = read_archive(path, part="test") if archive else read_examples(path, least_classes=1)
    labels = _labels_of(data, classes)
    return LabelledCrops(read_pixels(data, input_px=side_px), labels)


def probabilities(classifier: CropClassifier, crops: U8, *, mirrored: bool = False) -> F32:
    """Probabilities (N, classes) of crops (N, S, S, 3); ``mirrored``: means with those of mirrors."""
    parts = []
    for start in range(0, len(crops), BATCH):
        batch = crops[start : start + BATCH]
        chances = classifier.classify(batch)
        if mirrored:
            mirror = np.ascontiguousarray(batch[:, :, ::-1])
            chances = (chances + classifier.classify(mirror)) * np.float32(0.5)
        parts.append(chances)
    whole: F32 = np.concatenate(parts)
    return whole


def judge_probabilities(chances: F32, labels: I64) -> Judgement:
    """Judge probabilities (N, classes) as they are, calibrated already."""
    return judge(np.log(np.maximum(chances, 1e-12).astype(np.float64)), labels)


def top_k_accuracy(chances: F32, labels: I64, *, k: int) -> float:
    """The share of pictures whose class is among the ``k`` most probable ones."""
    best = np.argsort(-chances, axis=1)[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def figures(
    judged: Judgement, chances: F32, labels: I64, classes: tuple[str, ...]
) -> dict[str, Any]:
    """What `vigil evaluate classifier --json` says of a classifier on a set."""
    return {
        "pictures": len(labels),
        "accuracy": round(judged.accuracy, 4),
        "balanced_accuracy": round(judged.balanced_accuracy, 4),
        "top_2_accuracy": round(top_k_accuracy(chances, labels, k=2), 4),
        "log_loss": round(judged.log_loss, 4),
        "calibration_error": round(judged.calibration_error, 4),
        "recall": {
            label: None if np.isnan(recall) else round(float(recall), 4)
            for label, recall in zip(classes, judged.recalls, strict=True)
        },
        "confusion": judged.confusion.tolist(),
    }


def times(classifier: CropClassifier, crops: U8) -> dict[str, float]:
    """Median milliseconds a crop, from uint8 to probabilities: alone on one thread, and in batches on two."""
    several = np.resize(crops, (BATCH, *crops.shape[1:]))
    one_ms = median_ms(
        lambda i: classifier.classify(several[i % BATCH : i % BATCH + 1]), count=_TIMED, threads=1
    )
    batch_ms = median_ms(lambda _: classifier.classify(several), count=_TIMED // 2, threads=2)
    return {
        "ms_per_crop": round(one_ms, 3),
        f"ms_per_crop_batch{BATCH}": round(batch_ms / BATCH, 3),
    }


def _labels_of(data: ExampleSet, classes: tuple[str, ...]) -> I64:
    unknown = sorted(set(data.classes) - set(classes))
    if unknown:
        raise UnusableDataSet(
            f"the model has no class {', '.join(unknown)}; it knows {', '.join(classes)}"
        )
    index = np.array([classes.index(name) for name in data.classes], np.int64)
    labels: I64 = index[data.labels]
    return labels

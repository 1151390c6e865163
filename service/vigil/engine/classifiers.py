"""The classifiers that an engine holds beside its detector: opened, compared with float32, warm."""

import time
from pathlib import Path

import cv2
import numpy as np
import structlog

from vigil.data import U8
from vigil.engine.precision import candidates, probe_pictures
from vigil.vision.classifier import CropClassifier
from vigil.vision.manifest import Manifest, load_manifest

log = structlog.get_logger()

PROBE_CROPS = 8
PROBE_RUNS = 3
AGREEMENT = 0.03  # of a probability, as of a detector's score


def open_classifiers(
    names: tuple[str, ...], *, models_dir: Path, device: str, max_batch: int
) -> dict[str, CropClassifier]:
    """The named models on a device, each in the fastest precision that agrees with float32, and warm.

    Raises UnknownModel, DamagedModel.
    """
    opened = {
        name: fastest_classifier(load_manifest(name, models_dir=models_dir), device=device)
        for name in names
    }
    for classifier in opened.values():
        for count in (1, max_batch):  # first calls choose algorithms and allocate
            classifier.classify(np.zeros((count, *classifier.shape), np.uint8))
    return opened


def fastest_classifier(manifest: Manifest, *, device: str) -> CropClassifier:
    """The model in float32, or in a precision that was checked and measured to be faster."""
    best = reference = CropClassifier(manifest, device=device)
    crops = _probe_crops(reference.shape[0])
    expected, best_s = reference.classify(crops), _seconds(reference, crops)
    for precision in candidates(device):
        rival = CropClassifier(manifest, device=device, precision=precision)
        difference = float(np.abs(rival.classify(crops) - expected).max())
        took_s = _seconds(rival, crops)
        log.info(
            "classifier_precision_tried",
            model=manifest.name,
            precision=precision,
            probability_difference=round(difference, 4),
            against_float32=round(took_s / best_s, 3),
        )
        if difference <= AGREEMENT and took_s < best_s:
            best, best_s = rival, took_s
    return best


def _probe_crops(side_px: int) -> U8:
    """Parts of the detector's probe pictures, each of another size: (PROBE_CROPS, S, S, 3) uint8."""
    rng = np.random.default_rng(7)
    pictures = probe_pictures(256, 256)
    crops = np.empty((PROBE_CROPS, side_px, side_px, 3), np.uint8)
    for index in range(PROBE_CROPS):
        side = int(rng.integers(16, 256))
        top, left = rng.integers(0, 256 - side, 2)
        part = pictures[index % len(pictures), top : top + side, left : left + side]
        crops[index] = cv2.resize(part, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return crops


def _seconds(classifier: CropClassifier, crops: U8) -> float:
    """The best of a few runs: the first one chooses algorithms, and others may want the processor."""
    best_s = float("inf")
    for _ in range(PROBE_RUNS):
        started_s = time.monotonic()
        classifier.classify(crops)
        best_s = min(best_s, time.monotonic() - started_s)
    return best_s

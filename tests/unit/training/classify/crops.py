"""Pictures of two or three kinds, told apart by where they are bright; small enough to learn in a test."""

from pathlib import Path

import cv2
import numpy as np

from vigil.training.classify.loop import Labelled

CLASSES = ("above", "below", "level")


def picture(label: int, rng: np.random.Generator, *, side: int = 20) -> np.ndarray:
    image = rng.integers(60, 120, (side, side, 3), np.uint8)
    half = side // 2
    if label == 0:
        image[:half] += 120
    if label == 1:
        image[half:] += 120
    return image


def labelled(count: int, *, seed: int = 1, side: int = 20) -> Labelled:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    return Labelled(np.stack([picture(i, rng, side=side) for i in labels]), labels)


def write_folders(root: Path, *, count: int = 8, cameras: int = 4) -> Path:
    rng = np.random.default_rng(1)
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for i in range(count):
            file = root / name / f"cam{i % cameras}_{i}.png"
            cv2.imwrite(str(file), picture(label, rng))
    return root

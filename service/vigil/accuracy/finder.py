"""What is judged: anything that finds boxes in a picture, and how long it takes."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch

from vigil.data import U8, Detections
from vigil.training.labels import CLASSES
from vigil.vision.letterbox import Letterbox
from vigil.vision.opening import AnyDetector

_WARM_UP_FRAMES = 10
_ALSO = {"vehicle": CLASSES.index("car")}  # judged where vehicles are one class


class Finder(Protocol):
    """Finds boxes in a picture."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def find(self, image_bgr: U8) -> Detections:
        """Boxes of a picture (H, W, 3), in its pixels, the classes those of `training.labels`."""


class LetterboxFinder:
    """A detector, from uint8 picture to boxes; its classes become those of `training.labels` by name.

    Classes of other names are left out; a person, a vehicle and a rider are what their names say.
    """

    def __init__(self, detector: AnyDetector) -> None:
        self._detector = detector
        known = {**{name: i for i, name in enumerate(CLASSES)}, **_ALSO}
        names = detector.manifest.classes
        self._ours = np.array([known.get(name, -1) for name in names], np.int64)
        self._input: U8 = np.empty((1, *detector.shape), np.uint8)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._detector.manifest.name

    def find(self, image_bgr: U8) -> Detections:
        """Letterbox, detect, and put the boxes back into the picture."""
        return self.find_batch([image_bgr])[0]

    def find_batch(self, images: Sequence[U8]) -> list[Detections]:
        """The same for several pictures in one batch."""
        if len(self._input) != len(images):
            self._input = np.empty((len(images), *self._detector.shape), np.uint8)
        manifest = self._detector.manifest
        boxes = [
            Letterbox.fit(image.shape[:2], manifest.input_hw, stretch=manifest.stretch)
            for image in images
        ]
        for place, image, out in zip(boxes, images, self._input, strict=True):
            place.draw(image, out)
        found = self._detector.detect(self._input)
        return [
            in_picture(place, self._renamed(one), image)
            for place, one, image in zip(boxes, found, images, strict=True)
        ]

    def _renamed(self, found: Detections) -> Detections:
        ours = self._ours[found.class_id]
        kept = Detections(xyxy=found.xyxy, score=found.score, class_id=ours)
        return kept[ours >= 0]


def in_picture(place: Letterbox, found: Detections, image: U8) -> Detections:
    """Detections in input pixels to pixels of the picture."""
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height], np.float32)
    xyxy = place.to_source_normalised(found.xyxy) * scale
    return Detections(xyxy=xyxy, score=found.score, class_id=found.class_id)


def median_ms(run: Callable[[int], object], *, count: int, threads: int) -> float:
    """The median time of ``run(i)``, milliseconds, after a warm-up, with so many threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        spent_ms = []
        for index in range(count + _WARM_UP_FRAMES):
            began_s = time.perf_counter()
            run(index)
            spent_ms.append((time.perf_counter() - began_s) * 1e3)
        return float(np.median(spent_ms[_WARM_UP_FRAMES:]))
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])

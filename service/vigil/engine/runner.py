"""The model on its device, warm: pictures in, detections out."""

from collections.abc import Sequence

import numpy as np
import torch

from vigil.config import shared_threads
from vigil.data import U8, CompiledState
from vigil.engine.precision import fastest_detector
from vigil.vision.inferred import Inferred
from vigil.vision.manifest import Manifest
from vigil.vision.opening import AnyDetector, open_detector


class Runner:
    """A detector behind batch-size buckets, so that every size it meets was warmed before.

    On CUDA a batch is padded up to its bucket: each size has its own algorithms and graphs there. On a
    CPU, any size is taken as it is, and padding would be paid for. Once warm, up to ``lanes`` threads
    may call `infer` of a model that is ours.
    """

    def __init__(
        self, manifest: Manifest, *, device: str, max_batch: int, threads: int, lanes: int = 1
    ) -> None:
        self.manifest = manifest
        self.max_batch = max_batch
        self.device = _resolve(device)
        threads = shared_threads(threads)
        torch.set_num_threads(threads)
        self._detector: AnyDetector
        self.form = "imported"
        self.compiled: dict[str, CompiledState] = {}
        if manifest.imported is None:
            choice = fastest_detector(manifest, device=self.device, lanes=lanes)
            self._detector, self.compiled = choice.detector, choice.compiled
            self.form = choice.detector.form
        else:
            self._detector = open_detector(manifest, device=self.device, threads=threads)

    @property
    def precision(self) -> str:
        """What the net computes in."""
        return self._detector.precision

    @property
    def buckets(self) -> list[int]:
        """The batch sizes that are run: powers of two up to the largest, and the largest."""
        sizes = [1 << power for power in range(self.max_batch.bit_length())]
        return sorted({size for size in sizes if size <= self.max_batch} | {self.max_batch})

    def warm(self) -> None:
        """Run every bucket, twice: first calls choose algorithms and allocate."""
        black = np.zeros((self.max_batch, *self._detector.shape), np.uint8)
        for size in self.buckets:
            for _ in range(2):
                self._detector.detect(black[:size])

    def infer(self, pictures: Sequence[U8]) -> Inferred:
        """Find the objects in up to ``max_batch`` pictures, each (H, W, 3) uint8 BGR of input size."""
        count = len(pictures)
        batch: U8 = np.empty((self._padded(count), *self._detector.shape), np.uint8)
        for row, picture in enumerate(pictures):
            np.copyto(batch[row], picture)
        return self._detector.infer(batch, count=count)

    def free_memory(self) -> None:
        """Give the device what the allocator keeps for later."""
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def _padded(self, count: int) -> int:
        if self.device == "cpu":
            return count
        return next(size for size in self.buckets if size >= count)


def _resolve(device: str) -> str:
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"

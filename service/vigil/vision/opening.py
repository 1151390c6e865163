"""Which detector a manifest is: one of our nets, or an imported graph."""

from typing import Protocol

from vigil.data import U8, Detections
from vigil.vision.detector import DEFAULT_SCORE_FLOOR, Detector, Precision
from vigil.vision.inferred import Inferred
from vigil.vision.manifest import Manifest


class AnyDetector(Protocol):
    """What evaluation and the engine ask of a detector."""

    manifest: Manifest
    score_floor: float

    @property
    def precision(self) -> str:
        """What it computes in."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input picture."""

    def detect(self, batch: U8) -> list[Detections]:
        """Detections of (B, H, W, 3) uint8 BGR letterboxed pictures, in input pixels."""

    def infer(self, batch: U8, *, count: int | None = None) -> Inferred:
        """Those of the first ``count`` pictures, with the time that they took."""


def open_detector(
    manifest: Manifest,
    *,
    device: str = "cpu",
    precision: Precision = "float32",
    score_floor: float = DEFAULT_SCORE_FLOOR,
    every_type: bool = False,
    threads: int = 1,
) -> AnyDetector:
    """Load a manifest's detector, whatever runs it; ``threads`` are an imported graph's.

    Raises DamagedModel, InvalidConfig.
    """
    if manifest.imported is None:
        return Detector(
            manifest,
            device=device,
            precision=precision,
            score_floor=score_floor,
            every_type=every_type,
        )
    from vigil.vision.imported.detector import ImportedDetector  # its libraries are extras

    return ImportedDetector(
        manifest,
        device=device,
        precision=precision,
        score_floor=score_floor,
        threads=threads,
        every_type=every_type,
    )

"""An imported graph behind the interface of our own detector."""

import numpy as np

from vigil.data import U8, Detections
from vigil.errors import DamagedModel
from vigil.vision.imported.layouts import Candidates, Context, layout_named
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import OnnxRuntime, OpenVino, Runtime
from vigil.vision.manifest import Manifest, verify
from vigil.vision.postprocess import best_of


class ImportedDetector:
    """Detects as `vision.detector.Detector` does. Not to be shared between threads."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        device: str = "cpu",
        precision: str = "float32",
        score_floor: float = 0.05,
        threads: int = 1,
    ) -> None:
        imported = manifest.imported
        if imported is None:
            raise DamagedModel(f"{manifest.name!r} is no imported model; import it again")
        verify(manifest)
        self.manifest = manifest
        self.precision = precision
        self.score_floor = score_floor
        self._layout = layout_named(imported.layout)
        self._pixels = PIXELS[imported.pixels]
        self._context = Context(manifest.input_hw, imported.priors_px)
        self._runtime = open_runtime(manifest, device=device, precision=precision, threads=threads)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input picture."""
        return (*self.manifest.input_hw, 3)

    def detect(self, batch: U8) -> list[Detections]:
        """Detections of each of (B, H, W, 3) uint8 BGR letterboxed pictures, in input pixels."""
        if batch.ndim != 4 or batch.shape[1:] != self.shape or batch.dtype != np.uint8:
            raise ValueError(f"{batch.shape} {batch.dtype}: give (B, {self.shape}) uint8")
        return [self._one(batch[i : i + 1]) for i in range(len(batch))]

    def _one(self, picture: U8) -> Detections:
        outputs = self._runtime.run(self._pixels.of(picture))
        found = self._layout.decode(outputs, self._context)
        return detections_of(
            found,
            classes=len(self.manifest.classes),
            score_floor=self.score_floor,
            nms_iou=1.0 if self._layout.suppressed else self.manifest.nms_iou,
        )


def detections_of(
    found: Candidates, *, classes: int, score_floor: float, nms_iou: float
) -> Detections:
    """Candidates to detections; classes that the manifest does not name are left out."""
    scores = found.scores[:, :classes]
    row, class_id = np.nonzero(scores >= score_floor)
    return best_of(
        found.xyxy[row], scores[row, class_id], class_id.astype(np.int64), nms_iou=nms_iou
    )


def open_runtime(manifest: Manifest, *, device: str, precision: str, threads: int) -> Runtime:
    """The library that the manifest names, with its graph loaded."""
    imported = manifest.imported
    assert imported is not None
    if imported.runtime == "openvino":
        return OpenVino(
            manifest.weights_path,
            input_hw=manifest.input_hw,
            threads=threads,
            precision=precision,
        )
    return OnnxRuntime(manifest.weights_path, device=device, threads=threads)

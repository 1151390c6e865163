"""An imported graph behind the interface of our own detector."""

import time

import numpy as np

from vigil.data import F32, U8, Detections
from vigil.errors import DamagedModel
from vigil.vision.imported.layouts import Candidates, Context, layout_named
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import OnnxRuntime, OpenVino, Runtime
from vigil.vision.inferred import Inferred
from vigil.vision.manifest import Manifest, verify
from vigil.vision.postprocess import best_of, rivals_of, surest_types


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
        every_type: bool = False,
    ) -> None:
        imported = manifest.imported
        if imported is None:
            raise DamagedModel(f"{manifest.name!r} is no imported model; import it again")
        verify(manifest)
        self.manifest = manifest
        self.precision = precision
        self.score_floor = score_floor
        self._rivals = () if every_type else rivals_of(manifest.classes)
        self._layout = layout_named(imported.layout)
        self._pixels = PIXELS[imported.pixels]
        self._context = Context(manifest.input_hw, imported.priors_px)
        self._runtime = open_runtime(manifest, device=device, precision=precision, threads=threads)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input picture."""
        return (*self.manifest.input_hw, 3)

    def detect(self, batch: U8) -> list[Detections]:
        """Detections of each of (B, H, W, 3) uint8 BGR letterboxed pictures, in input pixels.

        Raises ValueError on another shape, DamagedModel where the graph answers with what is no number.
        """
        answers = [one for one in self.infer(batch).found if one is not None]
        if len(answers) < len(batch):
            raise DamagedModel(f"{self.manifest.name!r} answered with what is no number")
        return answers

    def infer(self, batch: U8, *, count: int | None = None) -> Inferred:
        """Detections of the first ``count`` pictures, None where the answer is no number, and the time."""
        if batch.ndim != 4 or batch.shape[1:] != self.shape or batch.dtype != np.uint8:
            raise ValueError(f"{batch.shape} {batch.dtype}: give (B, {self.shape}) uint8")
        found: list[Detections | None] = []
        infer_s = postprocess_s = 0.0
        for picture in batch[:count]:  # many graphs are exported for one picture
            started_s = time.monotonic()
            outputs = self._runtime.run(self._pixels.of(picture[None]))
            forwarded_s = time.monotonic()
            found.append(self._read(outputs))
            infer_s += forwarded_s - started_s
            postprocess_s += time.monotonic() - forwarded_s
        return Inferred(found, infer_s, postprocess_s)

    def _read(self, outputs: dict[str, F32]) -> Detections | None:
        if not all(np.isfinite(part.sum()) for part in outputs.values()):
            return None
        found = detections_of(
            self._layout.decode(outputs, self._context),
            classes=len(self.manifest.classes),
            score_floor=self.score_floor,
            nms_iou=1.0 if self._layout.suppressed else self.manifest.nms_iou,
        )
        return surest_types(found, self._rivals)


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

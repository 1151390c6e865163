"""What a detector says of a batch of pictures, and how long it took."""

from dataclasses import dataclass

from vigil.data import Detections


@dataclass(frozen=True, slots=True)
class Inferred:
    """What one batch gave, with the seconds that it spent."""

    # xyxy in input pixels, best first, one a picture; None: the net's answer was not all numbers
    found: list[Detections | None]
    infer_s: float
    postprocess_s: float

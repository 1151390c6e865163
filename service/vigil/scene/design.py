"""Which vehicles there are: kinds, sizes, colours, and where their lamps are."""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32
from vigil.scene.palette import Palette, pick

KINDS = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
GLASS = np.array([0.16, 0.14, 0.12], np.float32)
DARK = np.array([0.06, 0.06, 0.06], np.float32)
WHITE = np.array([0.92, 0.97, 1.0], np.float32)
RED = np.array([0.08, 0.06, 0.75], np.float32)
STEEL = np.array([0.55, 0.53, 0.52], np.float32)


@dataclass(frozen=True, slots=True)
class Design:
    """How one vehicle looks. ``profile`` chooses among the shapes of its kind."""

    kind: str
    profile: str
    length_m: float
    width_m: float
    height_m: float
    paint: F32
    second: F32
    lit: bool


def class_of(kind: str) -> str:
    """The detector's class of a kind: a delivery van counts as a truck, as data sets label it."""
    return "truck" if kind == "van" else kind


def draw_design(kind: str, rng: np.random.Generator, palette: Palette, *, lit: bool) -> Design:
    """A vehicle of a kind at random; ``lit`` switches its lamps on."""
    shapes = {
        "car": (["saloon", "hatch", "suv", "estate"], (3.7, 4.8), (1.72, 1.9), (1.42, 1.55)),
        "van": (["van"], (4.9, 6.2), (1.9, 2.1), (2.1, 2.6)),
        "truck": (["box", "flat", "tipper"], (6.5, 11.0), (2.3, 2.55), (2.8, 3.7)),
        "bus": (["bus"], (9.5, 12.5), (2.45, 2.6), (2.9, 3.3)),
        "motorcycle": (["scooter", "motorcycle"], (1.9, 2.2), (0.7, 0.8), (1.1, 1.2)),
        "bicycle": (["bicycle"], (1.7, 1.85), (0.55, 0.6), (1.0, 1.05)),
    }
    profiles, length, width, height = shapes[kind]
    profile = str(rng.choice(profiles))
    tall = {"suv": 0.22}.get(profile, 0.0)
    return Design(
        kind=kind,
        profile=profile,
        length_m=float(rng.uniform(*length)) - (0.4 if profile == "hatch" else 0.0),
        width_m=float(rng.uniform(*width)),
        height_m=float(rng.uniform(*height)) + tall,
        paint=pick(palette.paint, rng),
        second=pick(palette.paint, rng),
        lit=lit,
    )


def lamps_of(design: Design) -> list[tuple[tuple[float, float, float], bool]]:
    """Where the lamps are, and whether each shines forward (a headlight) or back."""
    if design.kind in {"motorcycle", "bicycle"}:
        half = design.length_m / 2
        return [((0.0, half * 0.75, 0.85), True), ((0.0, -half * 0.9, 0.65), False)]
    x, y = design.width_m * 0.38, design.length_m / 2
    low = 0.65 if design.kind == "car" else 0.85
    return [((side * x, end * y, low), end > 0) for side in (-1, 1) for end in (-1, 1)]

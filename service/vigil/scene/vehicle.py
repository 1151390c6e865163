"""Vehicles in metres, facing forward (y): bodies, lamps, riders."""

from vigil.scene.design import RED, WHITE, Design, lamps_of
from vigil.scene.four_wheeler import bus, car, truck, van
from vigil.scene.mesh import Mesh, join, placed, slab
from vigil.scene.person import Build, body, riding
from vigil.scene.two_wheeler import bicycle, motorcycle

_BODIES = {
    "car": car,
    "van": van,
    "truck": truck,
    "bus": bus,
    "motorcycle": motorcycle,
    "bicycle": bicycle,
}


def vehicle(design: Design) -> Mesh:
    """The mesh of a design, without a rider."""
    parts = _BODIES[design.kind](design)
    if design.kind not in {"motorcycle", "bicycle"}:
        parts += _lamps(design)
    return join(parts)


def rider(design: Design, build: Build, phase: float) -> Mesh:
    """The rider of a two-wheeler, in its frame."""
    moving = phase if design.kind == "bicycle" else 0.25
    seat_m = 0.93 if design.kind == "bicycle" else 0.83
    lean = 0.42 if design.kind == "bicycle" else 0.22
    pose = riding(moving, seat_m=seat_m, lean=lean)
    return placed(body(build, pose), offset=(0.0, -0.28, 0.0))


def _lamps(design: Design) -> list[Mesh]:
    """Head- and tail-lights, glowing when lit, and number plates."""
    half = design.length_m / 2
    glow = 0.95 if design.lit else 0.25
    parts = []
    for (x, y, z), ahead in lamps_of(design):
        colour = WHITE if ahead else RED
        size = (0.16, 0.05, 0.08) if ahead else (0.11, 0.04, 0.12)
        parts.append(
            slab((x, y * 0.985, z), size, colour, divisions=1, glow=glow, lift=0.25, gloss=0.3)
        )
    plate_m = (0.26, 0.01, 0.06)
    for end in (-1.0, 1.0):
        middle = (0.0, end * (half + 0.01), 0.5)
        parts += [slab(middle, plate_m, WHITE * 0.9, divisions=1, lift=0.25)]
    return parts

"""Things that people put down and take away: cases and boxes that no detector knows."""

import numpy as np

from vigil.scene.figure import Figure
from vigil.scene.mesh import Mesh, join, slab, tinted
from vigil.scene.palette import Palette, pick

THING = "thing"  # the class of what is none of a detector's


def luggage(rng: np.random.Generator, palette: Palette) -> Figure:
    """A case or a box, 0.4 to 0.7 m wide and 0.45 to 0.8 m high, with a band of another colour."""
    wide, deep = float(rng.uniform(0.2, 0.35)), float(rng.uniform(0.12, 0.25))
    high, band = float(rng.uniform(0.22, 0.4)), float(rng.uniform(0.2, 0.8))
    colour, other = pick(palette.paint, rng), pick(palette.cloth, rng)
    parts = [
        slab((0, 0, high), (wide, deep, high), colour, divisions=3),
        slab((0, 0, 2 * high * band), (wide * 1.02, deep * 1.05, high * 0.12), other),
    ]
    mesh: Mesh = tinted(join(parts), rng, 0.05)
    return Figure(lambda _: (mesh,), (THING,), 1, 1.0)

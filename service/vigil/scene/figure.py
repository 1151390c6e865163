"""The figures of a scene: somebody on foot, a vehicle, or a two-wheeler with its rider."""

from dataclasses import dataclass

import numpy as np

from vigil.scene.design import class_of, draw_design, lamps_of
from vigil.scene.mesh import Mesh
from vigil.scene.palette import Palette
from vigil.scene.person import body, draw_build, standing, walking
from vigil.scene.sprite import PHASES, Body
from vigil.scene.vehicle import rider, vehicle

STRIDE_M = 1.45  # two steps of somebody 1.75 m tall


@dataclass(frozen=True, slots=True)
class Figure:
    """What to draw for one actor, and the classes of its parts."""

    body: Body
    classes: tuple[str, ...]
    phases: int
    stride_m: float  # metres on the ground for one turn of the phase
    lamps: tuple[tuple[tuple[float, float, float], bool], ...] = ()


def person(rng: np.random.Generator, palette: Palette, *, vigour: float = 1.0) -> Figure:
    """Somebody who walks; with vigour 0, who stands."""
    build = draw_build(rng, palette)
    still = standing(rng)

    def parts(phase: float) -> tuple[Mesh, ...]:
        return (body(build, walking(phase, vigour) if vigour else still),)

    stride = STRIDE_M * build.height_m / 1.75 * (0.55 + 0.45 * vigour)
    return Figure(parts, ("person",), PHASES if vigour else 1, stride)


def rolling(kind: str, rng: np.random.Generator, palette: Palette, *, lit: bool) -> Figure:
    """A vehicle of a kind of `vigil.scene.design.KINDS`; two-wheelers carry a rider."""
    design = draw_design(kind, rng, palette, lit=lit)
    mesh = vehicle(design)
    lamps = tuple(lamps_of(design)) if lit else ()
    if kind not in {"motorcycle", "bicycle"}:
        return Figure(lambda _: (mesh,), (class_of(kind),), 1, 1.0, lamps)
    build = draw_build(rng, palette)

    def parts(phase: float) -> tuple[Mesh, ...]:
        return (mesh, rider(design, build, phase))

    phases = 8 if kind == "bicycle" else 1
    return Figure(parts, (kind, "person"), phases, 5.0, lamps)


def parked(kind: str, rng: np.random.Generator, palette: Palette) -> Figure:
    """A vehicle that nobody is on, lamps off."""
    design = draw_design(kind, rng, palette, lit=False)
    mesh = vehicle(design)
    return Figure(lambda _: (mesh,), (class_of(kind),), 1, 1.0)

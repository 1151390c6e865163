"""Motorcycles and bicycles, without their riders."""

from collections.abc import Sequence

import numpy as np

from vigil.data import F32
from vigil.scene.design import DARK, STEEL, WHITE, Design
from vigil.scene.mesh import Mesh, limb, slab, wheel


def motorcycle(design: Design) -> list[Mesh]:
    """A motorcycle, or a scooter by its profile."""
    half = design.length_m / 2
    paint = design.paint
    axle = half - 0.31
    parts = [wheel((0, y, 0.31), 0.31, 0.06, STEEL * 0.7) for y in (-axle, axle)]
    tank = limb(
        _way([0, -0.05, 0.74], [0, 0.2, 0.84], [0, 0.38, 0.8]),
        [0.12, 0.16, 0.09],
        paint,
    )
    seat = limb(
        _way([0, -0.65, 0.83], [0, -0.3, 0.78], [0, 0.0, 0.78]),
        [0.09, 0.14, 0.12],
        DARK,
    )
    engine = slab((0, 0.08, 0.48), (0.17, 0.26, 0.16), STEEL * 0.5)
    fork = limb(_way([0, axle, 0.31], [0, 0.48, 0.95]), [0.06, 0.05], STEEL)
    bars = limb(
        _way([-0.36, 0.38, 1.05], [0, 0.46, 1.0], [0.36, 0.38, 1.05]),
        [0.025, 0.03, 0.025],
        DARK,
    )
    tail = limb(_way([0, -0.3, 0.6], [0, -half * 0.85, 0.72]), [0.12, 0.07], paint)
    lamp = slab(
        (0, half * 0.62, 0.88),
        (0.1, 0.05, 0.09),
        WHITE,
        divisions=1,
        glow=0.95 if design.lit else 0.3,
        lift=0.1,
    )
    parts += [tank, seat, engine, fork, bars, tail, lamp]
    if design.profile == "scooter":
        parts.append(slab((0, 0.42, 0.62), (0.2, 0.05, 0.33), paint, divisions=3, gloss=0.2))
        parts.append(slab((0, -0.35, 0.55), (0.17, 0.34, 0.2), paint, divisions=3, gloss=0.2))
    return parts


def bicycle(design: Design) -> list[Mesh]:
    """A bicycle."""
    half = design.length_m / 2
    axle = half - 0.34
    parts = []
    for y in (-axle, axle):
        parts += [_hoop((0.0, y, 0.34), 0.33), *_spokes((0.0, y, 0.34), 0.32)]
    crank, saddle, head = (0, -0.05, 0.3), (0, -0.22, 0.9), (0, 0.38, 0.88)
    tubes = [
        (crank, saddle),
        (crank, head),
        ((0, -0.16, 0.75), head),
        ((0, -axle, 0.34), crank),
        ((0, -axle, 0.34), (0, -0.17, 0.78)),
        ((0, axle, 0.34), (0, 0.36, 1.0)),
    ]
    for start, end in tubes:
        parts.append(limb(_way(start, end), [0.024, 0.024], design.paint, around=6))
    seat = limb(_way([0, -0.36, 0.95], [0, -0.1, 0.94]), [0.08, 0.03], DARK, around=6)
    bars = limb(
        _way([-0.28, 0.3, 1.04], [0, 0.42, 1.0], [0.28, 0.3, 1.04]),
        [0.02, 0.022, 0.02],
        DARK,
        around=6,
    )
    return [*parts, seat, bars]


def _hoop(centre: tuple[float, float, float], radius_m: float) -> Mesh:
    angle = np.linspace(0, 2 * np.pi, 21)
    points = np.stack([np.zeros(21), np.cos(angle), np.sin(angle)], axis=1) * radius_m
    return limb((points + np.asarray(centre)).astype(np.float32), [0.025] * 21, DARK, around=5)


def _spokes(centre: tuple[float, float, float], radius_m: float) -> list[Mesh]:
    angle = np.arange(6) * (np.pi / 6)
    ends = np.stack([np.zeros(6), np.cos(angle), np.sin(angle)], axis=1) * radius_m
    middle = np.asarray(centre)
    return [
        limb(
            np.stack([middle - end, middle + end]).astype(np.float32),
            [0.007, 0.007],
            STEEL,
            around=3,
        )
        for end in ends
    ]


def _way(*points: Sequence[float]) -> F32:
    return np.array(points, np.float32)

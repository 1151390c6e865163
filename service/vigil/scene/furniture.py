"""Things that stand about and hide what walks behind them: meshes, in metres."""

from collections.abc import Callable

import numpy as np

from vigil.data import F32
from vigil.scene.mesh import Mesh, join, limb, slab, tinted
from vigil.scene.palette import Palette, pick

OUTDOOR = (
    "bollard",
    "planter",
    "bench",
    "bin",
    "lamp",
    "kiosk",
    "sign",
    "tree",
    "barrier",
    "cabinet",
)
INDOOR = ("column", "desk", "shelf", "plant", "bin", "rope", "cabinet")
_METAL = np.array([0.3, 0.3, 0.3], np.float32)
_WOOD = np.array([0.2, 0.34, 0.5], np.float32)
_LEAF = np.array([0.13, 0.34, 0.22], np.float32)


def piece(kind: str, rng: np.random.Generator, palette: Palette) -> Mesh:
    """One piece of furniture, at random within its kind."""
    paint = pick(palette.wall, rng, jitter=0.05)
    strong = pick(palette.paint, rng)
    return tinted(join(_MAKERS[kind](rng, paint, strong)), rng, 0.05)


def _post(x: float, height_m: float, radius_m: float, colour: F32) -> Mesh:
    levels = np.linspace(0, height_m, 6)
    points = np.stack([np.full(6, x), np.zeros(6), levels], axis=1).astype(np.float32)
    return limb(points, [radius_m] * 6, colour, around=12)


def _leaves(rng: np.random.Generator, height_m: float, radius_m: float) -> list[Mesh]:
    """A crown: many small clumps of leaves around a middle."""
    clumps = []
    count = int(np.clip(70 * radius_m + 20, 40, 130))
    for _ in range(count):
        away = rng.normal(0, 1, 3)
        away *= radius_m * rng.uniform(0.45, 1.0) / np.linalg.norm(away)
        middle = np.array([0, 0, height_m]) + away * (1, 1, 0.8)
        size = radius_m * rng.uniform(0.1, 0.22)
        axis = rng.normal(0, 1, 3)
        axis *= size / np.linalg.norm(axis)
        points = np.stack([middle - axis, middle, middle + axis]).astype(np.float32)
        tone = np.float32(rng.uniform(0.55, 1.35))
        clumps.append(limb(points, [size * 0.5, size, size * 0.45], _LEAF * tone, around=6))
    return clumps


def _bench() -> list[Mesh]:
    seat = slab((0, 0, 0.45), (0.85, 0.22, 0.04), _WOOD, divisions=4, lift=0.1)
    back = slab((0, -0.22, 0.72), (0.85, 0.03, 0.16), _WOOD, divisions=4)
    legs = [slab((x, 0, 0.21), (0.04, 0.2, 0.21), _METAL) for x in (-0.7, 0.7)]
    return [seat, back, *legs]


def _shelf(rng: np.random.Generator, paint: F32) -> list[Mesh]:
    parts = [slab((0, -0.15, 0.95), (1.2, 0.1, 0.95), paint * 0.7, divisions=4)]
    for level in (0.3, 0.75, 1.2, 1.65):
        parts.append(slab((0, 0.05, level), (1.2, 0.2, 0.02), paint, divisions=4))
        for x in np.arange(-1.05, 1.1, 0.24):
            goods = rng.uniform(0.1, 0.85, 3).astype(np.float32)
            tall = float(rng.uniform(0.06, 0.17))
            parts.append(
                slab((x, 0.1, level + tall), (0.1, 0.1, tall), goods, divisions=1, lift=0.05)
            )
    return parts


_Maker = Callable[[np.random.Generator, F32, F32], list[Mesh]]
_MAKERS: dict[str, _Maker] = {
    "bollard": lambda rng, paint, strong: [_post(0.0, 1.0, 0.07, _METAL)],
    "planter": lambda rng, paint, strong: [
        slab((0, 0, 0.28), (0.7, 0.4, 0.28), paint, divisions=3),
        *_leaves(rng, 0.85, 0.5),
    ],
    "bench": lambda rng, paint, strong: _bench(),
    "bin": lambda rng, paint, strong: [_post(0.0, 0.9, 0.24, strong * 0.6)],
    "lamp": lambda rng, paint, strong: [
        _post(0.0, 5.2, 0.07, _METAL),
        slab((0, 0.4, 5.2), (0.1, 0.45, 0.05), _METAL),
    ],
    "kiosk": lambda rng, paint, strong: [
        slab((0, 0, 1.15), (1.2, 0.9, 1.15), strong, divisions=4),
        slab((0, 0, 2.35), (1.35, 1.05, 0.06), _METAL, divisions=3, lift=0.3),
        slab((0, 0.02, 1.4), (0.8, 0.9, 0.4), np.array([0.5, 0.5, 0.45], np.float32), lift=0.2),
    ],
    "sign": lambda rng, paint, strong: [
        _post(0.0, 2.3, 0.04, _METAL),
        slab((0, 0.05, 2.3), (0.32, 0.02, 0.32), strong),
    ],
    "tree": lambda rng, paint, strong: [
        _post(0.0, 2.2, 0.15, _WOOD * 0.6),
        *_leaves(rng, 3.2, 1.5),
    ],
    "barrier": lambda rng, paint, strong: [
        slab(
            (0, 0, 0.95),
            (1.1, 0.03, 0.07),
            np.array([0.15, 0.2, 0.85], np.float32),
            divisions=4,
        ),
        slab(
            (0, 0, 0.6),
            (1.1, 0.03, 0.07),
            np.array([0.85, 0.85, 0.85], np.float32),
            divisions=4,
        ),
        slab((-1.05, 0, 0.5), (0.03, 0.2, 0.5), _METAL),
        slab((1.05, 0, 0.5), (0.03, 0.2, 0.5), _METAL),
    ],
    "cabinet": lambda rng, paint, strong: [
        slab((0, 0, 0.6), (0.45, 0.25, 0.6), paint * 0.8, divisions=3)
    ],
    "column": lambda rng, paint, strong: [_post(0.0, 4.5, float(rng.uniform(0.2, 0.38)), paint)],
    "desk": lambda rng, paint, strong: [
        slab((0, 0, 0.74), (0.9, 0.45, 0.03), _WOOD, divisions=4, lift=0.1),
        slab((0, 0, 0.36), (0.8, 0.38, 0.34), paint, divisions=3),
    ],
    "shelf": lambda rng, paint, strong: _shelf(rng, paint),
    "plant": lambda rng, paint, strong: [_post(0.0, 0.4, 0.2, paint), *_leaves(rng, 0.95, 0.45)],
    "rope": lambda rng, paint, strong: [
        _post(-0.7, 1.0, 0.04, _METAL),
        _post(0.7, 1.0, 0.04, _METAL),
        limb(
            np.array([[-0.7, 0, 0.92], [0, 0, 0.75], [0.7, 0, 0.92]], np.float32),
            [0.03] * 3,
            strong,
        ),
    ],
}

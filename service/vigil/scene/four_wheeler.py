"""Cars, vans, trucks and buses: hulls lofted along their length, with windows laid over them."""

import numpy as np

from vigil.data import F32
from vigil.scene.design import DARK, GLASS, STEEL, Design
from vigil.scene.mesh import Mesh, faces, outward, slab, tube, wheel


def _hull(stations: F32, colour: F32, *, gloss: float, crown: float = 0.82) -> Mesh:
    """A body along y: (R, 5) rows of y, half width, bottom, shoulder height and top height."""
    y, half, low, shoulder, top = stations.T
    mid = low + (shoulder - low) * 0.5
    outline = [
        (0.0 * half, low),
        (half * 0.94, low),
        (half, low + 0.12),
        (half * 1.01, mid),
        (half, shoulder),
        (half * crown, top),
        (half * crown * 0.5, top + 0.02),
        (0.0 * half, top + 0.03),
    ]
    right = np.stack([np.stack([x, y, z], axis=1) for x, z in outline], axis=1)
    left = right[:, -2:0:-1] * np.array([-1, 1, 1])
    return tube(np.concatenate([right, left], axis=1).astype(np.float32), colour, gloss=gloss)


def _spread(stations: list[tuple[float, ...]], parts: int = 3) -> F32:
    """The stations with ``parts`` - 1 more between each two: the painter wants small faces."""
    rows = np.array(stations, np.float32)
    place = np.arange(len(rows))
    fine = np.linspace(0, len(rows) - 1, (len(rows) - 1) * parts + 1)
    return np.stack([np.interp(fine, place, column) for column in rows.T], axis=1).astype(
        np.float32
    )


def _wheels(design: Design, radius_m: float, places: tuple[float, ...]) -> list[Mesh]:
    half = design.width_m / 2
    return [
        wheel((side * (half - 0.1), y * design.length_m / 2, radius_m), radius_m, 0.12, STEEL)
        for side in (-1, 1)
        for y in places
    ]


def _pane(corners: list[tuple[float, float, float]], inside: tuple[float, float, float]) -> Mesh:
    """A window: four corners cut in four faces, drawn over the panel below it."""
    a, b, c, d = np.array(corners, np.float32)
    rows = []
    for s in range(3):
        for t in range(2):
            u0, u1, v0, v1 = s / 3, (s + 1) / 3, t / 2, (t + 1) / 2
            rows.append(
                [
                    (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v
                    for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))
                ]
            )
    square = outward(np.array(rows, np.float32), np.asarray(inside, np.float32))
    return faces(square, GLASS, gloss=0.55, lift=0.5)


def car(design: Design) -> list[Mesh]:
    """A saloon, hatchback, estate or SUV, by its profile."""
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    belt = top * 0.62
    low = 0.22 if design.profile != "suv" else 0.32
    nose, tail = belt * 0.86, belt * (0.95 if design.profile == "saloon" else 1.0)
    lower = _spread(
        [
            (-half, half_w * 0.88, low + 0.15, tail * 0.72, tail * 0.8),
            (-half * 0.95, half_w * 0.96, low, tail * 0.85, tail * 0.97),
            (-half * 0.55, half_w, low, belt * 0.9, belt * 0.99),
            (half * 0.35, half_w, low, belt * 0.9, belt * 0.99),
            (half * 0.85, half_w * 0.97, low, nose * 0.85, nose * 0.95),
            (half, half_w * 0.84, low + 0.12, nose * 0.65, nose * 0.74),
        ]
    )
    back = {
        "saloon": (-0.74, -0.42),
        "hatch": (-0.93, -0.72),
        "suv": (-0.95, -0.8),
        "estate": (-0.95, -0.82),
    }
    foot, roof = (half * y for y in back[design.profile])
    front_roof, screen = half * 0.1, half * 0.48
    cabin = _spread(
        [
            (foot, half_w * 0.9, belt * 0.9, belt * 0.94, belt),
            (roof, half_w * 0.86, belt * 0.9, belt + 0.02, top),
            (front_roof, half_w * 0.86, belt * 0.9, belt + 0.02, top),
            (screen, half_w * 0.9, belt * 0.9, belt * 0.94, belt),
        ]
    )
    sill = slab((0, 0, low + 0.02), (half_w * 0.98, half * 0.9, 0.05), DARK, divisions=4)
    return [
        _hull(lower, design.paint, gloss=0.22),
        _hull(cabin, design.paint * 0.97, gloss=0.22, crown=0.8),
        *_car_panes(design, belt, (foot, roof, front_roof, screen)),
        sill,
        *_wheels(design, 0.31 if design.profile != "suv" else 0.36, (-0.6, 0.62)),
    ]


def _car_panes(design: Design, belt: float, along: tuple[float, float, float, float]) -> list[Mesh]:
    """Front, rear and two windows a side; ``along``: y of the cabin's foot, roof, roof and foot."""
    foot, roof, front_roof, screen = along
    half_w, eaves = design.width_m / 2, design.height_m - 0.07
    low, high = half_w * 0.87, half_w * 0.68
    inside = (0.0, (roof + front_roof) / 2, belt)
    panes = []
    for y0, y1 in ((screen, front_roof), (foot, roof)):
        lower, upper = [(-low, y0, belt), (low, y0, belt)], [(high, y1, eaves), (-high, y1, eaves)]
        panes.append(_pane([*lower, *upper], inside))
    middle = (roof + front_roof) / 2
    ends = [(foot + roof * 2) / 3, middle, (screen + front_roof * 2) / 3]
    tops = [roof, middle, front_roof]
    for side in (-1, 1):
        x0, x1 = side * (low + 0.03), side * (high + 0.06)
        for i in (0, 1):
            lower = [(x0, ends[i] + 0.04, belt + 0.02), (x0, ends[i + 1] - 0.04, belt + 0.02)]
            upper = [(x1, tops[i + 1] - 0.04, eaves), (x1, tops[i] + 0.04, eaves)]
            panes.append(_pane([*lower, *upper], inside))
    return panes


def _cab(design: Design, back: float, *, low: float) -> list[Mesh]:
    """A driver's cab with upright windscreen, from y = back to the front."""
    half, half_w = design.length_m / 2, design.width_m / 2
    top = min(design.height_m, 2.9 if design.kind == "truck" else design.height_m)
    belt = low + (top - low) * 0.45
    rows = _spread(
        [
            (back, half_w, low, top * 0.9, top),
            (half - 0.55, half_w, low, top * 0.88, top),
            (half - 0.12, half_w * 0.98, low, belt, belt * 1.05),
            (half, half_w * 0.93, low + 0.1, belt * 0.9, belt * 0.95),
        ]
    )
    inside = (0.0, back, belt)
    screen = _pane(
        [
            (-half_w * 0.9, half - 0.1, belt * 1.05),
            (half_w * 0.9, half - 0.1, belt * 1.05),
            (half_w * 0.78, half - 0.52, top - 0.12),
            (-half_w * 0.78, half - 0.52, top - 0.12),
        ],
        inside,
    )
    sides = []
    for side in (-1, 1):
        x = side * (half_w + 0.02)
        sides.append(
            _pane(
                [
                    (x, half - 1.4, belt),
                    (x, half - 0.35, belt),
                    (x * 0.9, half - 0.7, top - 0.2),
                    (x * 0.9, half - 1.4, top - 0.2),
                ],
                inside,
            )
        )
    grille = slab((0, half - 0.02, low + 0.35), (half_w * 0.5, 0.05, 0.14), DARK, lift=0.1)
    return [_hull(rows, design.paint, gloss=0.15, crown=0.9), screen, *sides, grille]


def van(design: Design) -> list[Mesh]:
    """A delivery van."""
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    rear = _spread(
        [(-half, half_w * 0.97, 0.35, top * 0.93, top), (half - 1.5, half_w, 0.3, top * 0.93, top)],
        5,
    )
    doors = slab((0, -half - 0.01, top * 0.55), (0.02, 0.01, top * 0.35), DARK, lift=0.1)
    return [
        _hull(rear, design.paint, gloss=0.15, crown=0.93),
        *_cab(design, half - 1.5, low=0.3),
        doors,
        *_wheels(design, 0.34, (-0.62, 0.66)),
    ]


def truck(design: Design) -> list[Mesh]:
    """A cab with a box, a flat bed or a tipper behind it."""
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    bed = half - 2.1
    middle, load = (-half + bed) / 2, (half + bed) / 2
    parts = [slab((0, middle, 0.85), (half_w * 0.9, load, 0.14), DARK, divisions=5)]
    if design.profile == "box":
        parts.append(
            slab(
                (0, middle, (1.0 + top) / 2),
                (half_w, load, (top - 1.0) / 2),
                design.second,
                divisions=6,
                gloss=0.06,
            )
        )
        stripe = slab(
            (0, middle, top * 0.6),
            (half_w + 0.01, load * 0.6, 0.25),
            design.paint,
            divisions=5,
            lift=0.4,
        )
        parts.append(stripe)
    else:
        wall = 0.35 if design.profile == "flat" else 0.85
        parts.append(
            slab((0, middle, 1.0 + wall / 2), (half_w, load, wall / 2), design.second, divisions=6)
        )
    axles = (-0.78, -0.55, 0.7) if design.length_m > 8 else (-0.62, 0.68)
    return [*parts, *_cab(design, bed + 0.1, low=0.5), *_wheels(design, 0.48, axles)]


def bus(design: Design) -> list[Mesh]:
    """A city bus, with doors on its right."""
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    rows = _spread(
        [
            (-half, half_w * 0.96, 0.35, top * 0.92, top),
            (half, half_w * 0.97, 0.35, top * 0.92, top),
        ],
        14,
    )
    inside = (0.0, 0.0, top / 2)
    panes = []
    count = int(design.length_m / 1.5)
    edges = np.linspace(-half + 0.3, half - 0.3, count + 1)
    for side in (-1, 1):
        x = side * (half_w + 0.02)
        for y0, y1 in zip(edges[:-1] + 0.06, edges[1:] - 0.06, strict=True):
            low = 0.6 if side == 1 and y1 > half - 1.6 else top * 0.47
            panes.append(
                _pane(
                    [(x, y0, low), (x, y1, low), (x, y1, top * 0.84), (x, y0, top * 0.84)], inside
                )
            )
    for end, low in ((1, 0.42), (-1, 0.55)):
        y = end * (half + 0.02)
        panes.append(
            _pane(
                [
                    (-half_w * 0.88, y, top * low),
                    (half_w * 0.88, y, top * low),
                    (half_w * 0.88, y, top * 0.83),
                    (-half_w * 0.88, y, top * 0.83),
                ],
                inside,
            )
        )
    sign = slab(
        (0, half + 0.02, top * 0.91),
        (half_w * 0.6, 0.02, 0.12),
        np.array([0.1, 0.6, 0.9], np.float32),
        glow=0.8,
        lift=0.2,
    )
    skirt = slab(
        (0, 0, 0.62), (half_w + 0.005, half * 0.99, 0.14), design.second, divisions=8, lift=0.4
    )
    return [
        _hull(rows, design.paint, gloss=0.15, crown=0.93),
        *panes,
        sign,
        skirt,
        *_wheels(design, 0.48, (-0.55, 0.6)),
    ]

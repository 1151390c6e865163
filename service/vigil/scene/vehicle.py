"""Vehicles: cars, vans, trucks, buses, motorcycles and bicycles, in metres, facing forward (y)."""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32
from vigil.scene.mesh import Mesh, faces, join, limb, outward, placed, slab, tube, wheel
from vigil.scene.palette import Palette, pick
from vigil.scene.person import Build, body, riding

KINDS = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
_GLASS = np.array([0.16, 0.14, 0.12], np.float32)
_DARK = np.array([0.06, 0.06, 0.06], np.float32)
_WHITE = np.array([0.92, 0.97, 1.0], np.float32)
_RED = np.array([0.08, 0.06, 0.75], np.float32)
_STEEL = np.array([0.55, 0.53, 0.52], np.float32)


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


def vehicle(design: Design) -> Mesh:
    """The mesh of a design, without a rider."""
    build = {"car": _car, "van": _van, "truck": _truck, "bus": _bus}.get(design.kind)
    if build is not None:
        return join([*build(design), *_lamps(design)])
    return join(_motorcycle(design) if design.kind == "motorcycle" else _bicycle(design))


def rider(design: Design, build: Build, phase: float) -> Mesh:
    """The rider of a two-wheeler, in its frame."""
    moving = phase if design.kind == "bicycle" else 0.25
    seat_m = 0.93 if design.kind == "bicycle" else 0.83
    lean = 0.42 if design.kind == "bicycle" else 0.22
    pose = riding(moving, seat_m=seat_m, lean=lean)
    return placed(body(build, pose), offset=(0.0, -0.28, 0.0))


def lamps_of(design: Design) -> list[tuple[tuple[float, float, float], bool]]:
    """Where the lamps are, and whether each shines forward (a headlight) or back."""
    if design.kind in {"motorcycle", "bicycle"}:
        half = design.length_m / 2
        return [((0.0, half * 0.75, 0.85), True), ((0.0, -half * 0.9, 0.65), False)]
    x, y = design.width_m * 0.38, design.length_m / 2
    low = 0.65 if design.kind == "car" else 0.85
    return [((side * x, end * y, low), end > 0) for side in (-1, 1) for end in (-1, 1)]


def _hull(stations: F32, colour: F32, *, gloss: float, crown: float = 0.82) -> Mesh:
    """A body along y: (R, 5) rows of y, half width, bottom, shoulder height and top height."""
    y, half, low, shoulder, top = stations.T
    mid = low + (shoulder - low) * 0.5
    outline = [
        (0.0 * half, low), (half * 0.94, low), (half, low + 0.12), (half * 1.01, mid),
        (half, shoulder), (half * crown, top), (half * crown * 0.5, top + 0.02), (0.0 * half, top + 0.03),
    ]
    right = np.stack([np.stack([x, y, z], axis=1) for x, z in outline], axis=1)
    left = right[:, -2:0:-1] * np.array([-1, 1, 1])
    return tube(np.concatenate([right, left], axis=1).astype(np.float32), colour, gloss=gloss)


def _spread(stations: list[tuple[float, ...]], parts: int = 3) -> F32:
    """The stations with ``parts`` - 1 more between each two: the painter wants small faces."""
    rows = np.array(stations, np.float32)
    place = np.arange(len(rows))
    fine = np.linspace(0, len(rows) - 1, (len(rows) - 1) * parts + 1)
    return np.stack([np.interp(fine, place, column) for column in rows.T], axis=1).astype(np.float32)


def _wheels(design: Design, radius_m: float, places: tuple[float, ...]) -> list[Mesh]:
    half = design.width_m / 2
    return [
        wheel((side * (half - 0.1), y * design.length_m / 2, radius_m), radius_m, 0.12, _STEEL)
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
    return faces(square, _GLASS, gloss=0.55, lift=0.5)


def _car(design: Design) -> list[Mesh]:
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
    back = {"saloon": (-0.74, -0.42), "hatch": (-0.93, -0.72), "suv": (-0.95, -0.8), "estate": (-0.95, -0.82)}
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
    inside = (0.0, (roof + front_roof) / 2, belt)
    t, w_low, w_top, eaves = 0.03, half_w * 0.87, half_w * 0.68, top - 0.07
    panes = [
        _pane([(-w_low, screen, belt), (w_low, screen, belt), (w_top, front_roof, eaves), (-w_top, front_roof, eaves)], inside),
        _pane([(-w_low, foot, belt), (w_low, foot, belt), (w_top, roof, eaves), (-w_top, roof, eaves)], inside),
    ]
    pillars = np.linspace(roof, front_roof, 3)
    for side in (-1, 1):
        ends = [(foot + roof * 2) / 3, pillars[1], (screen + front_roof * 2) / 3]
        for y0, y1, u0, u1 in ((ends[0], ends[1], roof, pillars[1]), (ends[1], ends[2], pillars[1], front_roof)):
            x0, x1 = side * (half_w * 0.87 + t), side * (w_top + t + 0.03)
            panes.append(
                _pane([(x0, y0 + 0.04, belt + 0.02), (x0, y1 - 0.04, belt + 0.02), (x1, u1 - 0.04, eaves), (x1, u0 + 0.04, eaves)], inside)
            )
    sill = slab((0, 0, low + 0.02), (half_w * 0.98, half * 0.9, 0.05), _DARK, divisions=4)
    return [
        _hull(lower, design.paint, gloss=0.22),
        _hull(cabin, design.paint * 0.97, gloss=0.22, crown=0.8),
        *panes,
        sill,
        *_wheels(design, 0.31 if design.profile != "suv" else 0.36, (-0.6, 0.62)),
    ]


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
        [(-half_w * 0.9, half - 0.1, belt * 1.05), (half_w * 0.9, half - 0.1, belt * 1.05),
         (half_w * 0.78, half - 0.52, top - 0.12), (-half_w * 0.78, half - 0.52, top - 0.12)], inside,
    )
    sides = []
    for side in (-1, 1):
        x = side * (half_w + 0.02)
        sides.append(
            _pane([(x, half - 1.4, belt), (x, half - 0.35, belt), (x * 0.9, half - 0.7, top - 0.2), (x * 0.9, half - 1.4, top - 0.2)], inside)
        )
    grille = slab((0, half - 0.02, low + 0.35), (half_w * 0.5, 0.05, 0.14), _DARK, lift=0.1)
    return [_hull(rows, design.paint, gloss=0.15, crown=0.9), screen, *sides, grille]


def _van(design: Design) -> list[Mesh]:
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    rear = _spread(
        [(-half, half_w * 0.97, 0.35, top * 0.93, top), (half - 1.5, half_w, 0.3, top * 0.93, top)], 5
    )
    doors = slab((0, -half - 0.01, top * 0.55), (0.02, 0.01, top * 0.35), _DARK, lift=0.1)
    return [
        _hull(rear, design.paint, gloss=0.15, crown=0.93),
        *_cab(design, half - 1.5, low=0.3),
        doors,
        *_wheels(design, 0.34, (-0.62, 0.66)),
    ]


def _truck(design: Design) -> list[Mesh]:
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    bed = half - 2.1
    middle, load = (-half + bed) / 2, (half + bed) / 2
    parts = [slab((0, middle, 0.85), (half_w * 0.9, load, 0.14), _DARK, divisions=5)]
    if design.profile == "box":
        parts.append(slab((0, middle, (1.0 + top) / 2), (half_w, load, (top - 1.0) / 2), design.second, divisions=6, gloss=0.06))
        stripe = slab((0, middle, top * 0.6), (half_w + 0.01, load * 0.6, 0.25), design.paint, divisions=5, lift=0.4)
        parts.append(stripe)
    else:
        wall = 0.35 if design.profile == "flat" else 0.85
        parts.append(slab((0, middle, 1.0 + wall / 2), (half_w, load, wall / 2), design.second, divisions=6))
    axles = (-0.78, -0.55, 0.7) if design.length_m > 8 else (-0.62, 0.68)
    return [*parts, *_cab(design, bed + 0.1, low=0.5), *_wheels(design, 0.48, axles)]


def _bus(design: Design) -> list[Mesh]:
    half, half_w, top = design.length_m / 2, design.width_m / 2, design.height_m
    rows = _spread(
        [(-half, half_w * 0.96, 0.35, top * 0.92, top), (half, half_w * 0.97, 0.35, top * 0.92, top)], 14
    )
    inside = (0.0, 0.0, top / 2)
    panes = []
    count = int(design.length_m / 1.5)
    edges = np.linspace(-half + 0.3, half - 0.3, count + 1)
    for side in (-1, 1):
        x = side * (half_w + 0.02)
        for y0, y1 in zip(edges[:-1] + 0.06, edges[1:] - 0.06, strict=True):
            low = 0.6 if side == 1 and y1 > half - 1.6 else top * 0.47
            panes.append(_pane([(x, y0, low), (x, y1, low), (x, y1, top * 0.84), (x, y0, top * 0.84)], inside))
    for end, low in ((1, 0.42), (-1, 0.55)):
        y = end * (half + 0.02)
        panes.append(
            _pane([(-half_w * 0.88, y, top * low), (half_w * 0.88, y, top * low), (half_w * 0.88, y, top * 0.83), (-half_w * 0.88, y, top * 0.83)], inside)
        )
    sign = slab((0, half + 0.02, top * 0.91), (half_w * 0.6, 0.02, 0.12), np.array([0.1, 0.6, 0.9], np.float32), glow=0.8, lift=0.2)
    skirt = slab((0, 0, 0.62), (half_w + 0.005, half * 0.99, 0.14), design.second, divisions=8, lift=0.4)
    return [_hull(rows, design.paint, gloss=0.15, crown=0.93), *panes, sign, skirt, *_wheels(design, 0.48, (-0.55, 0.6))]


def _lamps(design: Design) -> list[Mesh]:
    """Head- and tail-lights, glowing when lit, and number plates."""
    half = design.length_m / 2
    glow = 0.95 if design.lit else 0.25
    parts = []
    for (x, y, z), ahead in lamps_of(design):
        colour = _WHITE if ahead else _RED
        size = (0.16, 0.05, 0.08) if ahead else (0.11, 0.04, 0.12)
        parts.append(slab((x, y * 0.985, z), size, colour, divisions=1, glow=glow, lift=0.25, gloss=0.3))
    for end in (-1, 1):
        parts.append(slab((0, end * (half + 0.01), 0.5), (0.26, 0.01, 0.06), _WHITE * 0.9, divisions=1, lift=0.25))
    return parts


def _motorcycle(design: Design) -> list[Mesh]:
    half = design.length_m / 2
    paint = design.paint
    axle = half - 0.31
    parts = [
        wheel((0, y, 0.31), 0.31, 0.06, _STEEL * 0.7) for y in (-axle, axle)
    ]
    tank = limb(np.array([[0, -0.05, 0.74], [0, 0.2, 0.84], [0, 0.38, 0.8]], np.float32), [0.12, 0.16, 0.09], paint)
    seat = limb(np.array([[0, -0.65, 0.83], [0, -0.3, 0.78], [0, 0.0, 0.78]], np.float32), [0.09, 0.14, 0.12], _DARK)
    engine = slab((0, 0.08, 0.48), (0.17, 0.26, 0.16), _STEEL * 0.5)
    fork = limb(np.array([[0, axle, 0.31], [0, 0.48, 0.95]], np.float32), [0.06, 0.05], _STEEL)
    bars = limb(np.array([[-0.36, 0.38, 1.05], [0, 0.46, 1.0], [0.36, 0.38, 1.05]], np.float32), [0.025, 0.03, 0.025], _DARK)
    tail = limb(np.array([[0, -0.3, 0.6], [0, -half * 0.85, 0.72]], np.float32), [0.12, 0.07], paint)
    lamp = slab((0, half * 0.62, 0.88), (0.1, 0.05, 0.09), _WHITE, divisions=1, glow=0.95 if design.lit else 0.3, lift=0.1)
    parts += [tank, seat, engine, fork, bars, tail, lamp]
    if design.profile == "scooter":
        parts.append(slab((0, 0.42, 0.62), (0.2, 0.05, 0.33), paint, divisions=3, gloss=0.2))
        parts.append(slab((0, -0.35, 0.55), (0.17, 0.34, 0.2), paint, divisions=3, gloss=0.2))
    return parts


def _bicycle(design: Design) -> list[Mesh]:
    half = design.length_m / 2
    axle = half - 0.34
    parts = []
    for y in (-axle, axle):
        parts += [_hoop((0.0, y, 0.34), 0.33), *_spokes((0.0, y, 0.34), 0.32)]
    crank, saddle, head = (0, -0.05, 0.3), (0, -0.22, 0.9), (0, 0.38, 0.88)
    tubes = [(crank, saddle), (crank, head), ((0, -0.16, 0.75), head), ((0, -axle, 0.34), crank),
             ((0, -axle, 0.34), (0, -0.17, 0.78)), ((0, axle, 0.34), (0, 0.36, 1.0))]
    for start, end in tubes:
        parts.append(limb(np.array([start, end], np.float32), [0.024, 0.024], design.paint, around=6))
    seat = limb(np.array([[0, -0.36, 0.95], [0, -0.1, 0.94]], np.float32), [0.08, 0.03], _DARK, around=6)
    bars = limb(np.array([[-0.28, 0.3, 1.04], [0, 0.42, 1.0], [0.28, 0.3, 1.04]], np.float32), [0.02, 0.022, 0.02], _DARK, around=6)
    return [*parts, seat, bars]


def _hoop(centre: tuple[float, float, float], radius_m: float) -> Mesh:
    angle = np.linspace(0, 2 * np.pi, 21)
    points = np.stack([np.zeros(21), np.cos(angle), np.sin(angle)], axis=1) * radius_m
    return limb((points + np.asarray(centre)).astype(np.float32), [0.025] * 21, _DARK, around=5)


def _spokes(centre: tuple[float, float, float], radius_m: float) -> list[Mesh]:
    angle = np.arange(6) * (np.pi / 6)
    ends = np.stack([np.zeros(6), np.cos(angle), np.sin(angle)], axis=1) * radius_m
    middle = np.asarray(centre)
    return [
        limb(np.stack([middle - end, middle + end]).astype(np.float32), [0.007, 0.007], _STEEL, around=3)
        for end in ends
    ]

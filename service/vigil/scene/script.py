"""Who goes where in a moving scene: the demo's visitors, passers-by, and traffic."""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32
from vigil.scene.camera import Camera
from vigil.scene.figure import Figure, person, rolling
from vigil.scene.ground import Layout
from vigil.scene.journey import Journey, halting, resting, travel
from vigil.scene.look import Look
from vigil.scene.luggage import luggage
from vigil.scene.palette import Palette

KINDS = ("demo", "street", "avenue", "plaza", "yard", "hall")
HALTS = "halts"  # a yard where everybody stops for a while; detectors do not learn from it
THINGS = "things"  # people put things down and take things away; detectors do not learn from it
LAST_HALT_S = 12.0  # nobody comes to halt so near the end
PERSON_REACH_M = 0.4
PARKED_REACH_M = {"car": 2.4, "van": 2.8, "truck": 4.5, "motorcycle": 1.1}


@dataclass(frozen=True, slots=True)
class Actor:
    """One figure and its way. Its parts are numbered from ``object_id``."""

    object_id: int
    figure: Figure
    journey: Journey


@dataclass(frozen=True, slots=True)
class Stage:
    """What a script is played on."""

    camera: Camera
    layout: Layout
    look: Look
    palette: Palette
    duration_s: float


def write_script(kind: str, stage: Stage, rng: np.random.Generator) -> list[Actor]:
    """The actors of a scene of a kind, in order of their entrance."""
    writer = {"demo": _visitors, THINGS: _strollers}.get(kind, _passers)
    if kind == HALTS:
        casts = _stays(stage, rng)
    else:
        ways = writer(stage, rng)
        casts = [(person(rng, stage.palette, vigour=vigour), way) for vigour, way in ways]
    casts += _carriers(stage, rng) if kind == THINGS else []
    casts += _traffic(stage, rng, every_s=7.0 if kind == "demo" else 4.0)
    casts.sort(key=lambda cast: cast[1].start_s)
    return [Actor(index * 2 + 1, figure, way) for index, (figure, way) in enumerate(casts)]


def demo_camera(rng: np.random.Generator, *, width_px: int, height_px: int) -> Camera:
    """Hung at 5 m, looking down so that people's feet use the whole height of the picture."""
    return Camera(
        width_px=width_px,
        height_px=height_px,
        focal_px=float(rng.uniform(0.82, 0.88)) * width_px,
        height_m=float(rng.uniform(4.9, 5.5)),
        pitch_rad=float(np.deg2rad(rng.uniform(25.5, 28.0))),
    )


def _visitors(stage: Stage, rng: np.random.Generator) -> list[tuple[float, Journey]]:
    """People who come in above the middle, go down into the lower half, and leave as they came.

    One every 4.2 s, every other one comes down twice: some 65 events a minute with four people in the
    picture. Of 24 ways drawn for each, the one is taken that is hidden least by those before it.
    """
    ways: list[tuple[float, Journey]] = []
    seen: list[F32] = []
    times_s = np.arange(0.0, stage.duration_s + 30.0, 0.2, dtype=np.float32)
    for number, start_s in enumerate(np.arange(0.2, stage.duration_s - 8.0, 4.2)):
        drafts = [_visit(stage, rng, float(start_s), turns=1 + number % 2) for _ in range(24)]
        looks = [_seen(stage.camera, way, times_s) for way in drafts]
        best = int(np.argmin([sum(_overlap(look, other) for other in seen) for look in looks]))
        ways.append((1.0, drafts[best]))
        seen.append(looks[best])
    return ways


def _visit(stage: Stage, rng: np.random.Generator, start_s: float, *, turns: int) -> Journey:
    camera = stage.camera
    came, left = rng.random(2) < 0.5
    across = float(rng.uniform(0.14, 0.86))
    corners = [_seen_at(camera, -0.09 if came else 1.09, float(rng.uniform(0.33, 0.4)))]
    for _ in range(turns):
        for v in (0.385, float(rng.uniform(0.62, 0.82)), float(rng.uniform(0.62, 0.82)), 0.385):
            corners.append(_seen_at(camera, across + float(rng.uniform(-0.03, 0.03)), v))
            if v > 0.5 and len(corners) % 4 == 3:
                side = 1 if across < rng.uniform(0.3, 0.7) else -1
                across += side * float(rng.uniform(0.1, 0.24))
        across += float(rng.uniform(-0.08, 0.08))
    corners.append(_seen_at(camera, -0.09 if left else 1.09, float(rng.uniform(0.33, 0.4))))
    return travel(corners, speed_mps=float(rng.uniform(1.3, 1.75)), start_s=start_s)


def _seen_at(camera: Camera, u: float, v: float) -> tuple[float, float]:
    return camera.ground(u * camera.width_px, v * camera.height_px)


def _overlap(seen: F32, other: F32) -> int:
    """How many steps of time two walkers' pictures overlap for; both as _seen gives them."""
    apart = np.abs(seen[:, :2] - other[:, :2]) / seen[:, 2:]
    return int(((apart[:, 0] < 0.75) & (apart[:, 1] < 1.6)).sum())


def _seen(camera: Camera, way: Journey, times_s: F32) -> F32:
    """(T, 3) pixel of the feet and pixels a metre at each time; NaN where the walker is not there."""
    step_s = (way.end_s - way.start_s) / (len(way.xy_m) - 1)
    place = np.rint((times_s - way.start_s) / step_s).astype(np.int64)
    there = (place >= 0) & (place < len(way.xy_m))
    x, y = way.xy_m[np.clip(place, 0, len(way.xy_m) - 1)].T
    u, v, w = camera.homography() @ np.stack([x, y, np.ones_like(x)])
    rows = np.stack([u / w, v / w, camera.focal_px / w], axis=1)
    rows[~there] = np.nan
    return rows.astype(np.float32)


def _passers(stage: Stage, rng: np.random.Generator) -> list[tuple[float, Journey]]:
    """People who cross the picture from one border to another, one every 1.6 s."""
    ways = []
    for start_s in np.arange(-6.0, stage.duration_s, 1.6):
        corners = [_border(stage, rng), _inside(stage, rng), _border(stage, rng)]
        vigour = float(rng.choice([0.85, 1.0, 1.7], p=[0.4, 0.5, 0.1]))
        speed = 1.35 * vigour * float(rng.uniform(0.9, 1.1))
        ways.append((vigour, travel(corners, speed_mps=speed, start_s=float(start_s))))
    return ways


def _stays(stage: Stage, rng: np.random.Generator) -> list[tuple[Figure, Journey]]:
    """People who come in, stand for a while, and go on, one every 3 s, and vehicles that do, one every 5 s.

    Each stands at a place of its own, and who finds none does not come: bodies that stand in one
    another are nothing that a camera sees.
    """
    cast: list[tuple[Figure, Journey]] = []
    taken: list[tuple[F32, float]] = []  # where somebody stands, and how far around it they reach
    for start_s in np.arange(0.3, stage.duration_s - LAST_HALT_S, 3.0):
        way = _clear_stop(stage, rng, taken, float(start_s), speed_mps=1.35, reach_m=PERSON_REACH_M)
        if way is not None:
            cast.append((person(rng, stage.palette), way))
    for start_s in np.arange(0.9, stage.duration_s - LAST_HALT_S, 5.0):
        kind = str(rng.choice(list(PARKED_REACH_M), p=[0.6, 0.15, 0.1, 0.15]))
        speed_mps, reach_m = float(rng.uniform(3.0, 6.0)), PARKED_REACH_M[kind]
        way = _clear_stop(stage, rng, taken, float(start_s), speed_mps=speed_mps, reach_m=reach_m)
        if way is not None:
            cast.append((rolling(kind, rng, stage.palette, lit=stage.look.night), way))
    return cast


def _clear_stop(
    stage: Stage,
    rng: np.random.Generator,
    taken: list[tuple[F32, float]],
    start_s: float,
    *,
    speed_mps: float,
    reach_m: float,
) -> Journey | None:
    """A stop at a place that reaches no other's, which is then taken; None if 24 drafts have none."""
    for _ in range(24):
        way = _stop(stage, rng, start_s, speed_mps=speed_mps)
        at_m = np.asarray(way.place(np.array([way.halt_s]))[0], np.float32)
        if all(np.linalg.norm(at_m - other) >= reach_m + reach for other, reach in taken):
            taken.append((at_m, reach_m))
            return way
    return None


def _strollers(stage: Stage, rng: np.random.Generator) -> list[tuple[float, Journey]]:
    """The same with a fifth of them, so that things are in view for most of the time."""
    return _passers(stage, rng)[::5]


def _carriers(stage: Stage, rng: np.random.Generator) -> list[tuple[Figure, Journey]]:
    """Things at places of their own; half of them are there, the others are brought; most are taken away."""
    cast: list[tuple[Figure, Journey]] = []

    def somebody(at_m: tuple[float, float], start_s: float) -> float:
        """Sends somebody to a thing; answers when they put it down or take it up."""
        beside = at_m[0] + float(rng.choice([-0.6, 0.6])), at_m[1] + 0.1
        way = _stop(stage, rng, start_s, speed_mps=1.35, place_m=beside, for_s=1.6)
        cast.append((person(rng, stage.palette), way))
        return way.halt_s

    for at_m in _apart(stage, rng, count=10):
        from_s, until_s = -1.0, stage.duration_s + 1.0
        brought, taken = rng.random() < 0.5, rng.random() < 0.6
        if brought:
            from_s = somebody(at_m, float(rng.uniform(2.0, max(stage.duration_s - 26.0, 3.0))))
        if taken:
            until_s = somebody(at_m, max(from_s, 4.0) + float(rng.uniform(8.0, 20.0)))
        yaw_rad = float(rng.uniform(0, 2 * np.pi))
        way = resting(at_m, yaw_rad=yaw_rad, from_s=from_s, until_s=until_s)
        cast.append((luggage(rng, stage.palette), way))
    return cast


def _apart(stage: Stage, rng: np.random.Generator, *, count: int) -> list[tuple[float, float]]:
    """Up to ``count`` places on the ground that are apart in the picture, neither far off nor at its edge."""
    seen: list[tuple[float, float]] = []
    for _ in range(20 * count):
        u, v = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.45, 0.9))
        if len(seen) < count and all(abs(u - a) > 0.12 or abs(v - b) > 0.25 for a, b in seen):
            seen.append((u, v))
    return [_seen_at(stage.camera, *place) for place in seen]


def _stop(
    stage: Stage,
    rng: np.random.Generator,
    start_s: float,
    *,
    speed_mps: float,
    place_m: tuple[float, float] | None = None,
    for_s: float | None = None,
) -> Journey:
    """From one border to a place inside, a halt there, and on to another border; at random if not given."""
    place = place_m or _inside(stage, rng)
    corners = [_border(stage, rng), place, _border(stage, rng)]
    way = travel(corners, speed_mps=speed_mps, start_s=start_s)
    return halting(way, at_m=place, for_s=for_s or float(rng.uniform(4.0, 14.0)))


def _border(stage: Stage, rng: np.random.Generator) -> tuple[float, float]:
    """A place on the ground just outside the picture's left, right or lower border."""
    top = _highest(stage)
    side = rng.random()
    if side < 0.25:
        return _seen_at(stage.camera, float(rng.uniform(0.1, 0.9)), 1.45)
    return _seen_at(stage.camera, -0.15 if side < 0.62 else 1.15, float(rng.uniform(top, 0.95)))


def _inside(stage: Stage, rng: np.random.Generator) -> tuple[float, float]:
    return _seen_at(
        stage.camera, float(rng.uniform(0.15, 0.85)), float(rng.uniform(_highest(stage), 0.9))
    )


def _highest(stage: Stage) -> float:
    """The highest row that people's feet may reach: 26 m away, or a step before the wall."""
    camera = stage.camera
    _, v = camera.pixel(0.0, min(stage.layout.wall_m - 1.0, 26.0))
    return float(np.clip(v / camera.height_px, 0.15, 0.8))


def _traffic(
    stage: Stage, rng: np.random.Generator, *, every_s: float
) -> list[tuple[Figure, Journey]]:
    """Vehicles on the road, one lane each way, none overtaking another."""
    road = stage.layout.road_m
    if road is None:
        return []
    kinds = ["car", "van", "truck", "bus", "motorcycle", "bicycle"]
    cast = []
    for lane in (0, 1):
        last_end_s = -1e9
        start_s = float(rng.uniform(0, every_s))
        while start_s < stage.duration_s - 3.0:
            kind = str(rng.choice(kinds, p=[0.5, 0.12, 0.1, 0.08, 0.1, 0.1]))
            speed = float(rng.uniform(4.0, 6.0) if kind == "bicycle" else rng.uniform(7.0, 11.0))
            way = travel(_drive(stage, lane), speed_mps=speed, start_s=start_s)
            if way.end_s > last_end_s + 1.5:
                figure = rolling(kind, rng, stage.palette, lit=stage.look.night)
                cast.append((figure, way))
                last_end_s = way.end_s
            start_s += float(rng.uniform(0.7, 1.5)) * every_s
    return cast


def _drive(stage: Stage, lane: int) -> list[tuple[float, float]]:
    assert stage.layout.road_m is not None
    near, far = stage.layout.road_m
    place = near + (far - near) * (0.25 + 0.5 * lane)
    if stage.layout.place == "street":
        reach = place * stage.camera.width_px / stage.camera.focal_px / 2 * 1.1 + 8.0
        ends = [(-reach, place), (reach, place)]
    else:
        ends = [(place, 55.0), (place, 3.0)]
    return ends if lane == 0 else ends[::-1]

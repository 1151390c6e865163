"""What the ground is made of: a metric map painted from above, then laid in perspective."""

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import F32
from vigil.scene.camera import Camera
from vigil.scene.palette import Palette, pick

PX_PER_M = 24
HALF_WIDTH_M = 36.0
DEPTH_M = 60.0
PLACES = ("street", "avenue", "plaza", "yard", "hall")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are on the ground, in metres. Roads run along x (street) or along y (avenue)."""

    place: str
    road_m: tuple[float, float] | None  # its two edges, in y for a street, in x for an avenue
    wall_m: float  # distance of the wall behind


def draw_layout(place: str, rng: np.random.Generator) -> Layout:
    """A layout at random for a place."""
    road = None
    if place == "street":
        near = float(rng.uniform(9, 15))
        road = (near, near + float(rng.choice([6.5, 7.5, 10.5])))
    elif place == "avenue":
        left = float(rng.uniform(-10, -2))
        road = (left, left + float(rng.choice([7.0, 10.5, 14.0])))
    wall = {"hall": rng.uniform(14, 24), "yard": rng.uniform(26, 40)}.get(
        place, rng.uniform(24, 55)
    )
    return Layout(
        place, road, float(max(wall, (road[1] + 3.5) if place == "street" and road else 0))
    )


def cloud(shape: tuple[int, int], rng: np.random.Generator, *, octaves: int = 6) -> F32:
    """Fractal noise (H, W), mean 0, about -1 to 1: each octave doubles in fineness, halves in weight."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = 3 << octave
        grid = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**octave
    return total * np.float32(0.4)


def paint_ground(layout: Layout, rng: np.random.Generator, palette: Palette) -> F32:
    """The ground from above, (H, W, 3) BGR from 0 to 1; row 0 is farthest, x grows with columns."""
    shape = (int(DEPTH_M * PX_PER_M), int(2 * HALF_WIDTH_M * PX_PER_M))
    base = pick(palette.ground, rng, jitter=0.03)
    canvas = np.broadcast_to(base, (*shape, 3)).copy()
    if layout.place == "hall":
        _tiles(canvas, float(rng.choice([0.4, 0.6, 0.9])), rng, seam=-0.12, spread=0.03)
    elif layout.place == "yard":
        _bays(canvas, rng)
    else:
        _tiles(canvas, float(rng.choice([0.3, 0.5, 0.8])), rng, seam=-0.07, spread=0.045)
    if layout.place in {"plaza", "avenue", "street"} and rng.random() < 0.6:
        _lawn(canvas, rng)
    if layout.road_m is not None:
        _road(canvas, layout, rng)
    _wear(canvas, rng)
    return np.clip(canvas, 0.02, 0.98)


def lay(canvas: F32, camera: Camera) -> F32:
    """The ground as the camera sees it, (H, W, 3); rows above the horizon mean nothing."""
    to_metres = np.array(
        [[1 / PX_PER_M, 0, -HALF_WIDTH_M], [0, -1 / PX_PER_M, DEPTH_M], [0, 0, 1]], np.float64
    )
    twice = np.diag([2.0, 2.0, 1.0])
    warp = twice @ camera.homography().astype(np.float64) @ to_metres
    size = (camera.width_px, camera.height_px)
    seen = cv2.warpPerspective(
        canvas,
        warp,
        (size[0] * 2, size[1] * 2),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32)


def _row(y_m: float) -> int:
    return int((DEPTH_M - y_m) * PX_PER_M)


def _column(x_m: float) -> int:
    return int((x_m + HALF_WIDTH_M) * PX_PER_M)


def _tiles(
    canvas: F32, size_m: float, rng: np.random.Generator, *, seam: float, spread: float
) -> None:
    height, width = canvas.shape[:2]
    step = max(int(size_m * PX_PER_M), 4)
    rows, columns = height // step + 2, width // step + 2
    shade = rng.normal(0, spread, (rows, columns)).astype(np.float32)
    if rng.random() < 0.4:
        shade[
            (np.add.outer(np.arange(rows), np.arange(columns)) % int(rng.choice([2, 4]))) == 0
        ] -= 0.06
    shade = np.kron(shade, np.ones((step, step), np.float32))[:height, :width]
    shade[::step] += seam
    shade[:, ::step] += seam
    canvas += shade[..., None]


def _bays(canvas: F32, rng: np.random.Generator) -> None:
    paint = np.float32(rng.uniform(0.65, 0.9))
    wide = float(rng.uniform(2.4, 2.8))
    for near in (9.0, 20.0, 32.0):
        top, bottom = _row(near + 5), _row(near)
        for x in np.arange(-HALF_WIDTH_M, HALF_WIDTH_M, wide):
            canvas[top:bottom, _column(x) : _column(x) + 3] = paint
        canvas[top : top + 3] = paint


def _lawn(canvas: F32, rng: np.random.Generator) -> None:
    """A few patches of grass or planting."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(-22, 22), rng.uniform(6, 45)
        half = (int(rng.uniform(2, 9) * PX_PER_M), int(rng.uniform(1, 5) * PX_PER_M))
        centre = (_column(x), _row(y))
        if rng.random() < 0.5:
            cv2.ellipse(mask, centre, half, 0, 0, 360, 255, -1)
        else:
            low = (centre[0] - half[0], centre[1] - half[1])
            cv2.rectangle(mask, low, (centre[0] + half[0], centre[1] + half[1]), 255, -1)
    kerb = cv2.dilate(mask, np.ones((7, 7), np.uint8)) > mask
    grass = np.array([0.16, 0.36, 0.27], np.float32) * np.float32(rng.uniform(0.6, 1.1))
    rough = rng.normal(0, 0.06, canvas.shape[:2]).astype(np.float32)[..., None]
    canvas[mask > 0] = (grass + rough)[mask > 0]
    canvas[kerb] = 0.62


def _road(canvas: F32, layout: Layout, rng: np.random.Generator) -> None:
    assert layout.road_m is not None
    across = layout.place == "street"
    view = canvas if across else canvas.transpose(1, 0, 2)
    first, last = (
        (_row(layout.road_m[1]), _row(layout.road_m[0]))
        if across
        else (_column(layout.road_m[0]), _column(layout.road_m[1]))
    )
    tone = np.float32(rng.uniform(0.22, 0.42))
    view[first:last] = tone + rng.normal(0, 0.02, (last - first, view.shape[1], 1)).astype(
        np.float32
    )
    kerb = np.float32(rng.uniform(0.5, 0.75))
    view[first - 4 : first] = kerb
    view[last : last + 4] = kerb
    white = np.float32(rng.uniform(0.68, 0.88))
    middle = (first + last) // 2
    for start in range(0, view.shape[1], 5 * PX_PER_M):
        view[middle - 2 : middle + 2, start : start + 2 * PX_PER_M] = white
    if rng.random() < 0.6:
        view[first + 7 : first + 10] = white
        view[last - 10 : last - 7] = white
    if rng.random() < 0.6:
        at = int(rng.uniform(0.35, 0.65) * view.shape[1])
        for row in range(first + 6, last - 6, PX_PER_M):
            view[row : row + PX_PER_M // 2, at : at + 3 * PX_PER_M] = white


def _wear(canvas: F32, rng: np.random.Generator) -> None:
    """Stains, cracks, manholes, and unevenness from metres down to grains."""
    shape = canvas.shape[:2]
    canvas *= (1 + 0.16 * cloud(shape, rng, octaves=7))[..., None]
    canvas += rng.normal(0, 0.022, shape).astype(np.float32)[..., None]
    for _ in range(int(rng.integers(3, 14))):
        centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        radius = int(rng.uniform(0.1, 0.9) * PX_PER_M)
        tone = float(rng.uniform(0.12, 0.3))
        patch = np.zeros(shape, np.uint8)
        cv2.ellipse(patch, centre, (radius, int(radius * 0.7)), 0, 0, 360, 1, -1)
        canvas[patch > 0] = canvas[patch > 0] * np.float32(0.6) + np.float32(tone * 0.4)
    for _ in range(int(rng.integers(2, 10))):
        steps = rng.normal(0, 14, (14, 2)).cumsum(axis=0)
        start = rng.uniform(0, 1, 2) * (shape[1], shape[0])
        line = np.rint(start + steps).astype(np.int32)
        cv2.polylines(canvas, [line], False, (0.18, 0.18, 0.19), 1, cv2.LINE_AA)

"""The still part of a scene: sky, walls and ground in the scene's light, and what hides figures."""

from functools import partial

import cv2
import numpy as np

from vigil.data import F32
from vigil.scene.camera import Camera
from vigil.scene.compose import Backdrop, Piece, furnished
from vigil.scene.furniture import INDOOR, OUTDOOR, piece
from vigil.scene.ground import HALF_WIDTH_M, Layout, cloud, lay, paint_ground
from vigil.scene.look import Look, brightness, tone
from vigil.scene.palette import Palette, pick
from vigil.scene.raster import render
from vigil.scene.sprite import light_at

_FACADE_PX_PER_M = 18


def build_backdrop(
    layout: Layout,
    camera: Camera,
    look: Look,
    *,
    rng: np.random.Generator,
    palette: Palette,
    clutter: int,
) -> Backdrop:
    """Paint the still part of a scene. ``clutter`` is the number of pieces of furniture."""
    image = lay(paint_ground(layout, rng, palette), camera)
    image *= np.float32(look.light.sky * 0.95 + look.light.sun * 0.62)
    _sky(image, camera, look, rng)
    for left, right, far, high in _walls(layout, rng):
        _stand_wall(
            image,
            camera,
            (left, right, far, high),
            _facade(right - left, high, layout, look, rng, palette),
        )
    lit = brightness(look, camera)
    lit *= _exposure(image, lit, look)
    shaded = tone(look, np.clip(image * lit[..., None], 0, 1))
    still = cv2.GaussianBlur(shaded, (0, 0), look.blur_px)
    bare = Backdrop(np.rint(still * 255).astype(np.uint8), lit)
    return furnished(bare, _furniture(layout, camera, look, rng, palette, clutter))


def _exposure(image: F32, lit: F32, look: Look) -> np.float32:
    """What the camera's automatic exposure multiplies by."""
    lower = image[image.shape[0] // 3 :] * lit[image.shape[0] // 3 :, :, None]
    return np.float32(np.clip(look.exposure / max(float(lower.mean()), 1e-3), 0.7, 2.2))


def _sky(image: F32, camera: Camera, look: Look, rng: np.random.Generator) -> None:
    """Everything above the horizon, in place."""
    horizon = int(np.clip(np.ceil(camera.horizon_px), 0, camera.height_px))
    if horizon < 2:
        return
    haze = cloud((horizon, camera.width_px), rng, octaves=5)[..., None]
    ramp = np.linspace(0, 1, horizon, dtype=np.float32)[:, None, None]
    high, low = np.array([0.86, 0.68, 0.5], np.float32), np.array([0.92, 0.9, 0.87], np.float32)
    sky = high * (1 - ramp) + low * ramp + haze * np.float32(0.07)
    image[:horizon] = sky * np.float32(0.05 if look.night else 0.95)


def _walls(layout: Layout, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Walls across the view as (left, right, distance, height) in metres, farthest first."""
    if layout.place == "hall":
        return [(-HALF_WIDTH_M, HALF_WIDTH_M, layout.wall_m, float(rng.uniform(9, 14)))]
    walls = []
    x = -70.0
    while x < 70.0:
        wide = float(rng.uniform(7, 18))
        gap = float(rng.choice([0.0, rng.uniform(0, 7)]))
        if not (
            layout.place == "avenue"
            and layout.road_m
            and x < layout.road_m[1]
            and x + wide > layout.road_m[0]
        ):
            walls.append(
                (x, x + wide, layout.wall_m + float(rng.uniform(0, 6)), float(rng.uniform(4, 22)))
            )
        x += wide + gap
    return sorted(walls, key=lambda wall: -wall[2])


def _stand_wall(
    image: F32, camera: Camera, wall: tuple[float, float, float, float], facade: F32
) -> None:
    left, right, far, high = wall
    corners = [
        camera.pixel(left, far, high),
        camera.pixel(right, far, high),
        camera.pixel(right, far),
        camera.pixel(left, far),
    ]
    height, width = facade.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    target = np.array(corners, np.float32)
    size = (camera.width_px, camera.height_px)
    warp = cv2.getPerspectiveTransform(source, target)
    mask = cv2.warpPerspective(
        np.ones((height, width), np.float32), warp, size, flags=cv2.INTER_LINEAR
    )
    drawn = cv2.warpPerspective(
        facade, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    image += (drawn - image) * mask[..., None]


def _facade(
    wide_m: float,
    high_m: float,
    layout: Layout,
    look: Look,
    rng: np.random.Generator,
    palette: Palette,
) -> F32:
    """A wall with windows (or indoors doors and posters), (H, W, 3), top row first."""
    shape = (max(int(high_m * _FACADE_PX_PER_M), 8), max(int(wide_m * _FACADE_PX_PER_M), 8))
    base = pick(palette.wall, rng, jitter=0.04) * np.float32(0.95)
    wall = np.broadcast_to(base, (*shape, 3)).copy()
    if rng.random() < 0.5:
        wall[::5] *= 0.9
        wall[:, ::11] *= 0.95
    wall *= (1 + 0.12 * cloud(shape, rng))[..., None]
    indoor = layout.place == "hall"
    across, up = (
        (float(rng.uniform(2.5, 5)), 30.0) if indoor else (float(rng.uniform(1.8, 3.4)), 3.1)
    )
    opening_w, opening_h = (1.2, 2.2) if indoor else (float(rng.uniform(0.8, across * 0.72)), 1.6)
    for bottom in np.arange(0.0 if indoor else 0.6, high_m - opening_h, up):
        for x in np.arange(0.6, wide_m - opening_w, across):
            if rng.random() < 0.12:
                continue
            _opening(
                wall, (float(x), float(bottom), opening_w, opening_h), look, indoor, rng, palette
            )
    wall *= np.float32(look.light.sky * 0.85 + look.light.sun * 0.35)
    return wall


def _opening(
    wall: F32,
    place: tuple[float, float, float, float],
    look: Look,
    indoor: bool,
    rng: np.random.Generator,
    palette: Palette,
) -> None:
    x, bottom, wide, high = (int(n * _FACADE_PX_PER_M) for n in place)
    top = wall.shape[0] - bottom - high
    frame = wall[max(top - 2, 0) : top + high + 2, max(x - 2, 0) : x + wide + 2]
    frame *= np.float32(rng.choice([0.7, 1.25]))
    pane = wall[max(top, 0) : top + high, x : x + wide]
    if indoor:
        pane[:] = pick(palette.paint, rng, jitter=0.1) * np.float32(0.8)
        return
    glass = np.array([0.25, 0.22, 0.2], np.float32) * np.float32(rng.uniform(0.4, 1.6))
    if look.night and rng.random() < 0.3:
        glass = np.array([0.9, 1.5, 1.9], np.float32)
    shine = np.linspace(1.3, 0.8, pane.shape[0], dtype=np.float32)[:, None, None]
    pane[:] = glass * shine
    pane[:, pane.shape[1] // 2 : pane.shape[1] // 2 + 1] = 0.6


def _furniture(
    layout: Layout,
    camera: Camera,
    look: Look,
    rng: np.random.Generator,
    palette: Palette,
    clutter: int,
) -> list[Piece]:
    kinds = INDOOR if layout.place == "hall" else OUTDOOR
    pieces = []
    for _ in range(clutter):
        kind = str(rng.choice(kinds))
        u, v = rng.uniform(0, camera.width_px), rng.uniform(0.25, 1.05) * camera.height_px
        if v < camera.horizon_px + 0.08 * camera.height_px:
            continue
        x, y = camera.ground(float(u), float(v))
        if y > layout.wall_m - 1 or _in_road(layout, x, y):
            continue
        pieces.append(stand(kind, (x, y), camera, look, rng=rng, palette=palette))
    return pieces


def _in_road(layout: Layout, x: float, y: float) -> bool:
    if layout.road_m is None:
        return False
    place = y if layout.place == "street" else x
    return layout.road_m[0] - 0.5 < place < layout.road_m[1] + 0.5


def stand(
    kind: str,
    at_m: tuple[float, float],
    camera: Camera,
    look: Look,
    *,
    rng: np.random.Generator,
    palette: Palette,
) -> Piece:
    """Put one piece of furniture on the ground."""
    yaw = float(rng.choice([0, 0.5, 1.0, 1.5]) * np.pi + rng.normal(0, 0.1))
    view = camera.view(*at_m, yaw)
    mesh = piece(kind, rng, palette)
    sprite = render([mesh], view, light_at(look, yaw), tone=partial(tone, look))
    return Piece(sprite, at_m, camera.pixel(*at_m))

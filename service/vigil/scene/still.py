"""One picture with figures at random: what the training mix is made of."""

from dataclasses import dataclass

import numpy as np

from vigil.data import U8
from vigil.scene.backdrop import build_backdrop
from vigil.scene.camera import Camera
from vigil.scene.compose import Drawn, SceneObject, compose, gain_at
from vigil.scene.figure import Figure, parked, person, rolling
from vigil.scene.ground import PLACES, Layout, draw_layout
from vigil.scene.lamps import glows
from vigil.scene.look import Grain, Look, draw_look
from vigil.scene.palette import Palette, palette_of
from vigil.scene.sprite import Placement, SpriteStore


@dataclass(frozen=True, slots=True)
class Still:
    """A rendered picture and what is in it."""

    image: U8  # (H, W, 3) BGR
    objects: list[SceneObject]


def render_still(seed: int, *, width_px: int, height_px: int) -> Still:
    """A picture of the seed's side of the split (see `vigil.scene.palette`), at random."""
    rng = np.random.default_rng(seed)
    palette = palette_of(seed)
    camera = draw_camera(rng, width_px=width_px, height_px=height_px)
    layout = draw_layout(str(rng.choice(PLACES)), rng)
    look = draw_look("night" if rng.random() < 0.28 else "day", rng, indoor=layout.place == "hall")
    backdrop = build_backdrop(
        layout, camera, look, rng=rng, palette=palette, clutter=int(rng.integers(0, 9))
    )
    store = SpriteStore(camera, look)
    things: list[Drawn] = []
    for index, (figure, at) in enumerate(_cast(layout, camera, look, rng, palette)):
        at_px = camera.pixel(at.x_m, at.y_m)
        things.append(
            Drawn(
                sprite=store.exact(figure.body, at),
                at_px=at_px,
                px_per_m=camera.view(at.x_m, at.y_m, at.yaw_rad).px_per_m,
                y_m=at.y_m,
                gain=gain_at(backdrop, at_px),
                object_ids=tuple(index * 2 + part for part in range(len(figure.classes))),
                classes=figure.classes,
                glows=glows(figure, at, camera),
            )
        )
    image, objects = compose(backdrop, things)
    Grain((height_px, width_px), look.noise, rng).add(image)
    return Still(image, objects)


def draw_camera(rng: np.random.Generator, *, width_px: int, height_px: int) -> Camera:
    """A camera at random as they are hung: 2.3 to 9 m high, looking down 5 to 45 degrees."""
    field = np.deg2rad(rng.uniform(38, 80))
    return Camera(
        width_px=width_px,
        height_px=height_px,
        focal_px=float(max(width_px, height_px) / 2 / np.tan(field / 2)),
        height_m=float(rng.uniform(2.3, 9.0)),
        pitch_rad=float(np.deg2rad(rng.uniform(6, 42))),
    )


def _cast(
    layout: Layout, camera: Camera, look: Look, rng: np.random.Generator, palette: Palette
) -> list[tuple[Figure, Placement]]:
    """Figures and where they are: more people than vehicles, nobody inside anybody."""
    cast: list[tuple[Figure, Placement]] = []
    taken: list[tuple[float, float, float]] = []
    vehicles = 0 if layout.place == "hall" else int(rng.integers(0, 6))
    people = int(rng.integers(1, 12)) if rng.random() < 0.93 else 0
    kinds = [
        str(
            rng.choice(
                ["car", "van", "truck", "bus", "motorcycle", "bicycle"],
                p=[0.34, 0.1, 0.12, 0.1, 0.15, 0.19],
            )
        )
        for _ in range(vehicles)
    ]
    for kind in [*kinds, *["person"] * people]:
        figure = _draw_figure(kind, look, rng, palette)
        room = {"person": 0.35, "bicycle": 0.9, "motorcycle": 1.0, "car": 2.2}.get(kind, 4.5)
        at = _free_place(kind, room, layout, camera, rng, taken)
        if at is not None:
            taken.append((at.x_m, at.y_m, room))
            cast.append((figure, at))
    return cast


def _draw_figure(kind: str, look: Look, rng: np.random.Generator, palette: Palette) -> Figure:
    if kind == "person":
        vigour = float(rng.choice([0.0, 0.8, 1.0, 1.7], p=[0.3, 0.25, 0.37, 0.08]))
        return person(rng, palette, vigour=vigour)
    if rng.random() < 0.25:
        return parked(kind, rng, palette)
    return rolling(kind, rng, palette, lit=look.night)


def _free_place(
    kind: str,
    room: float,
    layout: Layout,
    camera: Camera,
    rng: np.random.Generator,
    taken: list[tuple[float, float, float]],
) -> Placement | None:
    for _ in range(20):
        u = float(rng.uniform(-0.02, 1.02)) * camera.width_px
        top = max(camera.horizon_px + 0.05 * camera.height_px, 0.12 * camera.height_px)
        v = float(rng.uniform(top, camera.height_px * 1.12))
        x, y = camera.ground(u, v)
        yaw = float(rng.uniform(0, 2 * np.pi))
        if kind != "person" and layout.road_m is not None and rng.random() < 0.8:
            lane = float(rng.uniform(layout.road_m[0] + 1.2, layout.road_m[1] - 1.2))
            ahead = float(rng.choice([0.0, np.pi]) + rng.normal(0, 0.03))
            if layout.place == "street":
                y, yaw = lane, ahead + np.pi / 2
                x = float(rng.uniform(-1, 1)) * y * camera.width_px / camera.focal_px / 2
            else:
                x, yaw = lane, ahead
        least = 1.8 if kind == "person" else room + 4.0
        far = min(layout.wall_m - room, camera.focal_px * 1.75 / 14 if kind == "person" else 70.0)
        apart = all((x - a) ** 2 + (y - b) ** 2 > (room + r) ** 2 * 0.8 for a, b, r in taken)
        if least < y < far and apart:
            return Placement(x, y, yaw, float(rng.random()))
    return None

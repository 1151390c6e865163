"""Sprites of figures on the move, rendered once for each step of pose, direction and distance."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from vigil.scene.camera import Camera
from vigil.scene.look import Look, tone
from vigil.scene.mesh import Mesh
from vigil.scene.raster import Light, Sprite, View, render

PHASES = 12
# As coarse as still looks smooth: a minute of the demo needs 2,000 sprites so, 5,300 at twice as fine.
_LIGHT_STEP = np.pi / 6
_AZIMUTH_STEP = np.pi / 10
_ELEVATION_STEP = np.pi / 24
_ZOOM_STEP = 1.3  # ratio of neighbouring sizes

Body = Callable[[float], tuple[Mesh, ...]]  # a phase from 0 to 1 to the parts of a figure


@dataclass(frozen=True, slots=True)
class Placement:
    """One figure at one moment: where its origin is, which way it faces, how far its step is."""

    x_m: float
    y_m: float
    yaw_rad: float
    phase: float


def light_at(look: Look, yaw_rad: float) -> Light:
    """The look's light in the frame of an object turned by yaw."""
    x, y, z = look.light.towards
    cos, sin = float(np.cos(yaw_rad)), float(np.sin(yaw_rad))
    return replace(look.light, towards=(cos * x + sin * y, -sin * x + cos * y, z))


@dataclass(slots=True)
class _Kept:
    """What is kept of one figure: its meshes by step of the phase, its sprites by view."""

    meshes: dict[int, tuple[Mesh, ...]] = field(default_factory=dict)
    sprites: dict[tuple[int, ...], Sprite] = field(default_factory=dict)


class SpriteStore:
    """The sprites of one scene, made when first wanted, and forgotten with their figure."""

    def __init__(self, camera: Camera, look: Look) -> None:
        self._camera = camera
        self._look = look
        self._kept: dict[int, _Kept] = {}

    def forget(self, figure: int) -> None:
        """Drop the sprites of a figure that has left."""
        self._kept.pop(figure, None)

    def get(self, figure: int, body: Body, at: Placement, *, phases: int = PHASES) -> Sprite:
        """The sprite nearest to a placement; draw it scaled to the camera's pixels a metre."""
        view = self._camera.view(at.x_m, at.y_m, at.yaw_rad)
        steps = (
            round(at.yaw_rad / _LIGHT_STEP),
            round(view.azimuth_rad / _AZIMUTH_STEP),
            round(view.elevation_rad / _ELEVATION_STEP),
            int(np.ceil(np.log(view.px_per_m) / np.log(_ZOOM_STEP))),
            int(at.phase * phases) % phases,
        )
        kept = self._kept.setdefault(figure, _Kept())
        if steps not in kept.sprites:
            phase = steps[-1]
            if phase not in kept.meshes:
                kept.meshes[phase] = body((phase + 0.5) / phases)
            kept.sprites[steps] = self._render(kept.meshes[phase], view, steps)
        return kept.sprites[steps]

    def exact(self, body: Body, at: Placement) -> Sprite:
        """A sprite of just this placement, for stills."""
        view = self._camera.view(at.x_m, at.y_m, at.yaw_rad)
        light = light_at(self._look, at.yaw_rad)
        return render(body(at.phase), view, light, tone=partial(tone, self._look))

    def _render(self, meshes: tuple[Mesh, ...], view: View, steps: tuple[int, ...]) -> Sprite:
        yaw, azimuth, elevation, zoom, _ = steps
        px_per_m = _ZOOM_STEP**zoom
        stepped = View(
            azimuth_rad=azimuth * _AZIMUTH_STEP,
            elevation_rad=elevation * _ELEVATION_STEP,
            distance_m=view.distance_m * view.px_per_m / px_per_m,
            px_per_m=px_per_m,
        )
        light = light_at(self._look, yaw * _LIGHT_STEP)
        return render(meshes, stepped, light, tone=partial(tone, self._look))

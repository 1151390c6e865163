"""Sprites of figures on the move, rendered once for each step of pose, direction and distance."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vigil.scene.camera import Camera
from vigil.scene.look import Look, tone_sprite
from vigil.scene.mesh import Mesh
from vigil.scene.raster import Light, Sprite, View, render

PHASES = 14
_AZIMUTH_STEP = np.pi / 14
_ELEVATION_STEP = np.pi / 40
_ZOOM_STEP = 1.18  # ratio of neighbouring distances

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


class SpriteStore:
    """The sprites of one scene, made when first wanted, and forgotten with their figure."""

    def __init__(self, camera: Camera, look: Look) -> None:
        self._camera = camera
        self._look = look
        self._sprites: dict[int, dict[tuple[int, ...], Sprite]] = {}

    def forget(self, figure: int) -> None:
        """Drop the sprites of a figure that has left."""
        self._sprites.pop(figure, None)

    def get(self, figure: int, body: Body, at: Placement, *, phases: int = PHASES) -> Sprite:
        """The sprite nearest to a placement; draw it scaled to the camera's pixels a metre."""
        view = self._camera.view(at.x_m, at.y_m, at.yaw_rad)
        steps = (
            round(at.yaw_rad / _AZIMUTH_STEP),
            round(view.azimuth_rad / _AZIMUTH_STEP),
            round(view.elevation_rad / _ELEVATION_STEP),
            int(np.ceil(np.log(view.px_per_m) / np.log(_ZOOM_STEP))),
            int(at.phase * phases) % phases,
        )
        known = self._sprites.setdefault(figure, {})
        if steps not in known:
            known[steps] = self._render(body, view, steps, phases)
        return known[steps]

    def exact(self, body: Body, at: Placement) -> Sprite:
        """A sprite of just this placement, for stills."""
        view = self._camera.view(at.x_m, at.y_m, at.yaw_rad)
        return self._toned(render(body(at.phase), view, light_at(self._look, at.yaw_rad)))

    def _render(self, body: Body, view: View, steps: tuple[int, ...], phases: int) -> Sprite:
        yaw, azimuth, elevation, zoom, phase = steps
        px_per_m = _ZOOM_STEP**zoom
        stepped = View(
            azimuth_rad=azimuth * _AZIMUTH_STEP,
            elevation_rad=elevation * _ELEVATION_STEP,
            distance_m=view.distance_m * view.px_per_m / px_per_m,
            px_per_m=px_per_m,
        )
        light = light_at(self._look, yaw * _AZIMUTH_STEP)
        return self._toned(render(body((phase + 0.5) / phases), stepped, light))

    def _toned(self, sprite: Sprite) -> Sprite:
        return replace(sprite, bgra=tone_sprite(self._look, sprite.bgra))

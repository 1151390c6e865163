"""Glare of lit lamps in the picture."""

import numpy as np

from vigil.scene.camera import Camera
from vigil.scene.figure import Figure
from vigil.scene.sprite import Placement


def glows(
    figure: Figure, at: Placement, camera: Camera
) -> tuple[tuple[float, float, float, float], ...]:
    """(x px, y px, radius px, strength) of each lamp that shines towards the camera."""
    cos, sin = float(np.cos(at.yaw_rad)), float(np.sin(at.yaw_rad))
    found = []
    away = np.hypot(at.x_m, at.y_m)
    for (x, y, z), ahead in figure.lamps:
        facing = (at.x_m * sin - at.y_m * cos) / max(
            away, 1e-6
        )  # forward axis against the line of sight
        towards = facing if ahead else -facing
        if towards <= 0.05:
            continue
        place = (at.x_m + cos * x - sin * y, at.y_m + sin * x + cos * y)
        u, v = camera.pixel(*place, z)
        scale = camera.focal_px / max(camera.depth_m(place[1], z), 1.0)
        found.append(
            (u, v, scale * (0.32 if ahead else 0.14), float(towards) * (0.8 if ahead else 0.35))
        )
    return tuple(found)

"""A fixed camera above flat ground: between metres on the ground and pixels of the picture.

World: x right, y away from the camera, z up, metres; the camera hangs above the origin and looks along
y, tilted down. Pinhole, no lens distortion.
"""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32
from vigil.scene.raster import View


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera hangs and how it looks."""

    width_px: int
    height_px: int
    focal_px: float
    height_m: float
    pitch_rad: float  # down from the horizon

    @property
    def horizon_px(self) -> float:
        """The picture row of the horizon; may be above the picture."""
        return self.height_px / 2 - self.focal_px * float(np.tan(self.pitch_rad))

    def homography(self) -> F32:
        """(3, 3): homogeneous ground metres to homogeneous pixels."""
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        cx, cy, focal, high = self.width_px / 2, self.height_px / 2, self.focal_px, self.height_m
        return np.array(
            [
                [focal, cx * cos, cx * high * sin],
                [0.0, cy * cos - focal * sin, cy * high * sin + focal * high * cos],
                [0.0, cos, high * sin],
            ],
            np.float32,
        )

    def depth_m(self, y: float, z: float = 0.0) -> float:
        """Distance of a point along the optical axis; it is the same for every x."""
        return float(y * np.cos(self.pitch_rad) + (self.height_m - z) * np.sin(self.pitch_rad))

    def pixel(self, x: float, y: float, z: float = 0.0) -> tuple[float, float]:
        """Where a point in the world is seen."""
        depth = max(self.depth_m(y, z), 1e-3)
        sin, cos = np.sin(self.pitch_rad), np.cos(self.pitch_rad)
        up = y * sin - (self.height_m - z) * cos
        return (
            float(self.width_px / 2 + self.focal_px * x / depth),
            float(self.height_px / 2 - self.focal_px * up / depth),
        )

    def ground(self, u: float, v: float) -> tuple[float, float]:
        """The ground point seen at a pixel below the horizon."""
        x, y, w = np.linalg.solve(self.homography().astype(np.float64), [u, v, 1.0])
        return float(x / w), float(y / w)

    def view(self, x: float, y: float, yaw_rad: float) -> View:
        """How an object at (x, y), turned by yaw, is seen from here."""
        away = float(np.hypot(x, y))
        bearing = np.arctan2(-x, -y)  # of the camera as seen from the object, from +y towards +x
        azimuth = (bearing + yaw_rad + np.pi) % (2 * np.pi) - np.pi
        return View(
            azimuth_rad=float(azimuth),
            elevation_rad=float(np.arctan2(self.height_m, max(away, 1e-3))),
            distance_m=float(np.hypot(away, self.height_m)),
            px_per_m=self.focal_px / max(self.depth_m(y), 0.5),
        )

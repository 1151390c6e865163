"""What comes close to the eye is drawn no larger than there is memory for."""

import numpy as np

from vigil.scene.raster import View, project


def test_a_corner_beside_the_eye_stays_within_a_few_pictures() -> None:
    view = View(azimuth_rad=0.0, elevation_rad=0.7, distance_m=6.0, px_per_m=200.0)
    # Along the view to the eye, and past it: a lorry's flank, or a shadow that reaches beneath the camera.
    towards_eye = np.array([0.0, np.cos(0.7), np.sin(0.7)], np.float32)
    corners = np.stack([towards_eye * part + (0.5, 0.0, 0.0) for part in (0.0, 5.9, 6.1, 12.0)])
    pixels, depth = project(corners.astype(np.float32), view)
    assert np.abs(pixels).max() < 500.0
    assert (depth > 0.0).all()

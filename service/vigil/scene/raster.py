"""Mesh to picture: a sprite seen from one direction, with its shadow, shaded face by face.

Faces are drawn far to near (the painter's algorithm) at a higher resolution, then averaged down.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.scene.mesh import Mesh, join, normals

_SHIFT = 4  # fillConvexPoly takes corners as fixed-point numbers with this many binary places
# Of an object's distance, the nearest that a corner of it is drawn at: what sticks out towards the camera,
# or a shadow that reaches beneath it, would else be a sprite of gigabytes.
_NEAREST = 0.3


@dataclass(frozen=True, slots=True)
class View:
    """Where an object is seen from. Azimuth 0 looks it in the face, 90 degrees at its right side."""

    azimuth_rad: float
    elevation_rad: float
    distance_m: float
    px_per_m: float  # at the object's origin


@dataclass(frozen=True, slots=True)
class Light:
    """What lights a scene; the direction is towards the sun in the object's own frame."""

    towards: tuple[float, float, float]
    sun: float  # strength of the direct light
    sky: float  # strength of the light from all round
    shadow: float  # darkness of the shadow on the ground, 0 to 1
    softness: float  # blur of the shadow, in metres
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)  # BGR


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture of one object with premultiplied alpha.

    ``anchor`` is the pixel of the object's origin, ``boxes`` the exact bounds of each part (a rider and
    what is ridden are two) as xyxy in pixels from the anchor, ``body`` the coverage without shadow.
    """

    bgra: U8  # (H, W, 4)
    body: U8  # (H, W)
    anchor: tuple[float, float]
    boxes: tuple[tuple[float, float, float, float], ...]
    area: float  # covered pixels
    px_per_m: float


def axes(view: View) -> tuple[F32, F32]:
    """The eye's place (3,) and the rows right, up and forward (3, 3), in the object's frame."""
    cos = np.cos(view.elevation_rad)
    eye = view.distance_m * np.array(
        [
            cos * np.sin(view.azimuth_rad),
            cos * np.cos(view.azimuth_rad),
            np.sin(view.elevation_rad),
        ]
    )
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= max(float(np.linalg.norm(right)), 1e-9)
    up = np.cross(right, forward)
    return eye.astype(np.float32), np.stack([right, up, forward]).astype(np.float32)


def project(points: F32, view: View) -> tuple[F32, F32]:
    """Pixels relative to the object's origin (..., 2), and depths in metres (...)."""
    eye, frame = axes(view)
    seen = (points - eye) @ frame.T
    depth = np.maximum(seen[..., 2], _NEAREST * view.distance_m)
    scale = view.px_per_m * view.distance_m / depth
    return np.stack([seen[..., 0] * scale, -seen[..., 1] * scale], axis=-1), depth


def shade(mesh: Mesh, facing: F32, eye: F32, light: Light) -> F32:
    """Colours (F, 3) of the faces, 0 to 1: light from the sky, the sun, and what gloss mirrors."""
    towards = np.asarray(light.towards, np.float32)
    direct = np.clip(facing @ towards, 0, 1)[:, None]
    dome = (0.62 + 0.38 * facing[:, 2])[:, None]
    lit = mesh.colour * (light.sky * dome + light.sun * direct) * np.asarray(light.tint)
    to_eye = eye - mesh.corners.mean(axis=1)
    to_eye /= np.maximum(np.linalg.norm(to_eye, axis=1, keepdims=True), 1e-6)
    mirror = 2 * (to_eye * facing).sum(axis=1, keepdims=True) * facing - to_eye
    glint = np.clip(mirror @ towards, 0, 1)[:, None] ** 24 * light.sun * 0.9
    heaven = np.clip(0.25 + 0.75 * mirror[:, 2:], 0, 1) * (light.sky + light.sun) * 0.55
    gloss = mesh.gloss[:, None]
    lit = lit * (1 - 0.45 * gloss) + gloss * (heaven + glint) * np.asarray(light.tint)
    glow = mesh.glow[:, None]
    return np.asarray(np.clip(lit * (1 - glow) + mesh.colour * glow, 0, 1), np.float32)


def render(
    parts: Sequence[Mesh],
    view: View,
    light: Light,
    *,
    tone: Callable[[F32], F32],
    oversample: int = 2,
) -> Sprite:
    """A sprite of the parts together. ``light.towards`` is in the object's frame.

    ``tone`` is what the camera makes of (F, 3) colours; applied to faces, it costs a tenth of what it
    costs on pixels.
    """
    mesh = join(parts)
    pixels, depth = project(mesh.corners, view)
    facing = normals(mesh.corners)
    towards_light = facing @ np.asarray(light.towards, np.float32) > 0
    cast = _cast(mesh.corners[towards_light], view, light) if light.shadow > 0.0 else pixels
    margin = 2.0 + (2.5 * light.softness * view.px_per_m if light.shadow > 0.0 else 0.0)
    both = np.concatenate([pixels.reshape(-1, 2), cast.reshape(-1, 2)])
    low = np.floor(both.min(axis=0) - margin)
    width, height = (int(n) for n in np.ceil(both.max(axis=0) + margin) - low)
    eye, _ = axes(view)
    seen = ((eye - mesh.corners.mean(axis=1)) * facing).sum(axis=1) > 0
    order = np.argsort(mesh.lift - depth.mean(axis=1))
    order = order[seen[order]]
    colour = np.rint(tone(shade(mesh, facing, eye, light)) * 255).tolist()
    canvas = np.zeros((height * oversample, width * oversample, 4), np.uint8)
    fixed = _fixed(pixels - low, oversample)
    for i in order:
        b, g, r = colour[i]
        cv2.fillConvexPoly(canvas, fixed[i], (b, g, r, 255), cv2.LINE_8, _SHIFT)
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    body = np.asarray(small, np.uint8)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return Sprite(
        bgra=_with_shadow(body, _fixed(cast - low, 1), view, light),
        body=np.ascontiguousarray(body[..., 3]),
        anchor=(-float(low[0]), -float(low[1])),
        boxes=tuple(_bounds(part) for part in np.split(pixels, ends)),
        area=float(body[..., 3].sum(dtype=np.int64)) / 255,
        px_per_m=view.px_per_m,
    )


def _bounds(pixels: F32) -> tuple[float, float, float, float]:
    points = pixels.reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1


def _fixed(pixels: F32, oversample: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Fixed-point corners for fillConvexPoly, whose pixel centres lie at whole numbers."""
    return np.asarray(np.rint((pixels * oversample - 0.5) * (1 << _SHIFT)), np.int32)


def _cast(corners: F32, view: View, light: Light) -> F32:
    """Where the corners' shadows fall on the ground, in pixels."""
    x, y, z = light.towards
    drop = corners[..., 2:3] / max(z, 0.25)
    ground = corners - drop * np.array([x, y, max(z, 0.25)], np.float32)
    return project(ground.astype(np.float32), view)[0]


def _with_shadow(
    body: U8, cast: np.ndarray[tuple[int, ...], np.dtype[np.int32]], view: View, light: Light
) -> U8:
    """The body over its own shadow, premultiplied."""
    if light.shadow <= 0.0:
        return body
    shadow = np.zeros(body.shape[:2], np.uint8)
    for face in cast:
        cv2.fillConvexPoly(shadow, face, int(255 * light.shadow), cv2.LINE_8, _SHIFT)
    sigma_px = max(light.softness * view.px_per_m, 0.3)
    soft = cv2.GaussianBlur(shadow, (0, 0), sigma_px)
    under = cv2.multiply(soft, cv2.bitwise_not(body[..., 3]), scale=1 / 255)
    whole = body.copy()
    whole[..., 3] = cv2.add(body[..., 3], under)
    return whole

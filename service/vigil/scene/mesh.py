"""Shapes made of four-cornered faces: what bodies, vehicles and street furniture are built from.

An object's own frame: x to its right, y forward, z up, metres, origin on the ground below its middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vigil.data import F32


@dataclass(frozen=True, slots=True)
class Mesh:
    """Faces with flat colours. Corners run anticlockwise when seen from outside."""

    corners: F32  # (F, 4, 3) metres
    colour: F32  # (F, 3) BGR, 0 to 1
    gloss: F32  # (F,) how much of the sky a face mirrors, 0 to 1
    glow: F32  # (F,) light of its own, 0 to 1
    lift: (
        F32  # (F,) metres that a face is drawn nearer than it is: decals over the panel they lie on
    )

    def __len__(self) -> int:
        return len(self.corners)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh with the faces of all."""
    return Mesh(
        corners=np.concatenate([mesh.corners for mesh in meshes]),
        colour=np.concatenate([mesh.colour for mesh in meshes]),
        gloss=np.concatenate([mesh.gloss for mesh in meshes]),
        glow=np.concatenate([mesh.glow for mesh in meshes]),
        lift=np.concatenate([mesh.lift for mesh in meshes]),
    )


def placed(mesh: Mesh, *, offset: Sequence[float], yaw_rad: float = 0.0) -> Mesh:
    """The mesh turned about z, then shifted."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    corners = mesh.corners @ turn.T + np.asarray(offset, np.float32)
    return replace(mesh, corners=corners.astype(np.float32))


def faces(
    corners: F32,
    colour: F32,
    *,
    gloss: float = 0.0,
    glow: float = 0.0,
    lift: float = 0.0,
) -> Mesh:
    """A mesh of (F, 4, 3) corners with one colour (3,) or one a face (F, 3)."""
    count = len(corners)
    return Mesh(
        corners=np.ascontiguousarray(corners, np.float32),
        colour=np.broadcast_to(np.asarray(colour, np.float32), (count, 3)).copy(),
        gloss=np.full(count, gloss, np.float32),
        glow=np.full(count, glow, np.float32),
        lift=np.full(count, lift, np.float32),
    )


def normals(corners: F32) -> F32:
    """Unit normals (F, 3) of (F, 4, 3) corners, by the cross product of the diagonals."""
    across = cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    length = np.sqrt((across * across).sum(axis=1, keepdims=True))
    return np.asarray(across / np.maximum(length, 1e-9), np.float32)


def cross(a: F32, b: F32) -> F32:
    """Cross products of (N, 3) rows; a fifth of the time of numpy's own for rows this few."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def tube(rings: F32, colour: F32, *, gloss: float = 0.0, lift: float = 0.0) -> Mesh:
    """A skin over (R, N, 3) rings, closed at both ends.

    ``colour`` is (3,) or, for the skin without the ends, (R - 1, N, 3).
    """
    count, around = rings.shape[:2]
    following = np.roll(rings, -1, axis=1)
    skin = np.stack([rings[:-1], following[:-1], following[1:], rings[1:]], axis=2)
    centre = rings.mean(axis=1, keepdims=True)
    ends = np.stack(
        [
            np.stack([rings[i], following[i], centre[i].repeat(around, 0)], axis=1)[:, [0, 1, 2, 2]]
            for i in (0, count - 1)
        ]
    )
    corners = np.concatenate([skin.reshape(-1, 4, 3), ends.reshape(-1, 4, 3)]).astype(np.float32)
    axis = np.concatenate(
        [
            ((centre[:-1] + centre[1:]) / 2).repeat(around, 1).reshape(-1, 3),
            centre[1].repeat(around, 0),
            centre[-2].repeat(around, 0),
        ]
    )
    paint = np.asarray(colour, np.float32)
    if paint.ndim > 1:
        paint = np.concatenate([paint.reshape(-1, 3), paint[0], paint[-1]])
    return faces(outward(corners, axis), paint, gloss=gloss, lift=lift)


def outward(corners: F32, inside: F32) -> F32:
    """The same faces, turned so that their normals point away from the (F, 3) or (3,) points inside."""
    flip = ((corners.mean(axis=1) - inside) * normals(corners)).sum(axis=1) < 0
    turned = corners.copy()
    turned[flip] = corners[flip, ::-1]
    return turned


def limb(
    points: F32,
    radii_m: Sequence[float],
    colour: F32,
    *,
    flat: float = 1.0,
    around: int = 8,
) -> Mesh:
    """A round tube along (K, 3) points; ``flat`` below 1 makes it thinner front to back."""
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = cross(along, np.broadcast_to(np.array([0.0, 1.0, 1e-3]), along.shape))
    weak = np.linalg.norm(side, axis=1) < 0.2
    if weak.any():
        side[weak] = cross(along[weak], np.broadcast_to(np.array([1, 0, 1e-3]), along[weak].shape))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    other = cross(along, side)
    angle = np.arange(around) * (2 * np.pi / around)
    radius = np.asarray(radii_m, np.float32)[:, None, None]
    rings = points[:, None] + radius * (
        side[:, None] * np.cos(angle)[:, None] + flat * other[:, None] * np.sin(angle)[:, None]
    )
    return tube(rings.astype(np.float32), colour)


def loft(sections: F32, colour: F32, *, around: int = 12, power: float = 1.0) -> Mesh:
    """An upright body of ellipses: (R, 5) rows of x, y, z of the centre and half width, half depth.

    ``power`` below 1 makes the ellipses squarer (a superellipse), as chests and coats are.
    """
    angle = np.arange(around) * (2 * np.pi / around)
    cos, sin = np.cos(angle), np.sin(angle)
    shape = np.stack([np.sign(cos) * abs(cos) ** power, np.sign(sin) * abs(sin) ** power], axis=1)
    rings = np.zeros((len(sections), around, 3), np.float32)
    rings[..., :2] = sections[:, None, :2] + sections[:, None, 3:5] * shape
    rings[..., 2] = sections[:, None, 2]
    return tube(rings, colour)


def slab(
    centre: Sequence[float],
    half: Sequence[float],
    colour: F32,
    *,
    divisions: int = 2,
    gloss: float = 0.0,
    glow: float = 0.0,
    lift: float = 0.0,
) -> Mesh:
    """A box of half sizes ``half``, each side cut into ``divisions`` squared faces."""
    steps = np.linspace(-1, 1, divisions + 1)
    u, v = (grid.ravel() for grid in np.meshgrid(steps[:-1], steps[:-1]))
    step = 2 / divisions
    square = np.stack([[u, v], [u + step, v], [u + step, v + step], [u, v + step]]).transpose(
        2, 0, 1
    )
    sides = []
    for axis in range(3):
        for end in (-1.0, 1.0):
            corner = np.insert(square, axis, end, axis=2)
            sides.append(corner)
    corners = np.concatenate(sides) * np.asarray(half) + np.asarray(centre)
    turned = outward(corners.astype(np.float32), np.asarray(centre, np.float32))
    return faces(turned, colour, gloss=gloss, glow=glow, lift=lift)


def wheel(
    centre: Sequence[float], radius_m: float, half_width_m: float, rim: F32, *, around: int = 14
) -> Mesh:
    """A wheel whose axle points along x: a dark tyre, a rim on both faces."""
    angle = np.arange(around) * (2 * np.pi / around)
    circle = np.stack([np.zeros(around), np.cos(angle), np.sin(angle)], axis=1) * radius_m
    middle = np.asarray(centre, np.float32)
    axle = np.array([half_width_m, 0, 0])
    tyre = tube(
        np.stack(
            [circle * 0.96 - axle, circle - axle * 0.7, circle + axle * 0.7, circle * 0.96 + axle]
        ).astype(np.float32)
        + middle,
        np.array([0.07, 0.07, 0.07], np.float32),
        lift=0.3,
    )
    discs = []
    for end in (-1.03, 1.03):
        ring = circle * 0.62 + axle * end
        hub = np.broadcast_to(axle * end, ring.shape)
        fan = np.stack([ring, np.roll(ring, -1, axis=0), hub, hub], axis=1) + middle
        shade = np.where(np.arange(around) % 2, 0.8, 1.0)[:, None] * rim
        disc = outward(fan.astype(np.float32), middle)
        discs.append(faces(disc, shade.astype(np.float32), gloss=0.1, lift=0.34))
    return join([tyre, *discs])


def tinted(mesh: Mesh, rng: np.random.Generator, amount: float) -> Mesh:
    """The mesh with each face's brightness varied a little, as cloth and paint vary."""
    shade = 1 + rng.normal(0, amount, (len(mesh), 1))
    return replace(mesh, colour=np.clip(mesh.colour * shade, 0, 1).astype(np.float32))

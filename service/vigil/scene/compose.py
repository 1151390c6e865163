"""Figures and furniture onto the backdrop, far to near, with the exact box of everything drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.scene.raster import Sprite

Xyxy = tuple[float, float, float, float]
_SEEN = 96  # alpha from which a pixel counts as covered


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object's truth in one frame.

    ``xyxy`` is normalised and amodal within the picture: hidden parts count, parts outside do not.
    ``visible`` is the share of the whole body that is seen: not hidden and not outside; ``in_view`` the
    share of its whole box that is inside the picture, hidden or not.
    """

    object_id: int
    class_name: str
    xyxy: Xyxy
    visible: float
    in_view: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sprite to be drawn; object_ids and classes name its parts (none for furniture)."""

    sprite: Sprite
    at_px: tuple[float, float]
    px_per_m: float
    y_m: float
    gain: float = 1.0
    object_ids: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    glows: tuple[tuple[float, float, float, float], ...] = ()  # x, y px, radius px, strength


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a sprite came to lie: its picture rectangle and what it covers there, 255 or 0."""

    box: tuple[int, int, int, int]
    body: U8
    area: float  # covered pixels, those outside the picture included


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of furniture to be put up: its sprite, its place on the ground and in pixels."""

    sprite: Sprite
    at_m: tuple[float, float]
    at_px: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """A piece of furniture that stands in a backdrop, to be drawn again before what is behind it."""

    stamp: Stamp
    picture: U8  # of the stamp's rectangle
    y_m: float


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What every frame begins with. ``lit`` is the brightness of each place, (H, W)."""

    image: U8  # (H, W, 3) BGR
    lit: F32
    furniture: tuple[Standing, ...] = ()


def compose(backdrop: Backdrop, things: Sequence[Drawn]) -> tuple[U8, list[SceneObject]]:
    """Draw all things onto the backdrop; returns a new picture and the truth of the named parts.

    The furniture is in the backdrop's picture already; what stands before a figure is drawn again.
    """
    image = backdrop.image.copy()
    order: list[Drawn | Standing] = sorted(
        [*backdrop.furniture, *things], key=lambda thing: -thing.y_m
    )
    stamps: list[Stamp | None] = []
    drawn: list[Stamp] = []
    for thing in order:
        if isinstance(thing, Standing):
            stamps.append(thing.stamp)
            for behind in drawn:
                _cover(image, thing, behind.box)
        else:
            stamp = stamped(image, thing)
            stamps.append(stamp)
            drawn += [stamp] if stamp is not None else []
            for glow in thing.glows:
                _shine(image, glow)
    found = []
    for index, thing in enumerate(order):
        stamp = stamps[index]
        if isinstance(thing, Drawn) and stamp is not None:
            nearer = [other for other in stamps[index + 1 :] if other is not None]
            found += _truth(thing, _visible(stamp, nearer), image.shape[1], image.shape[0])
    return image, found


def _truth(thing: Drawn, visible: float, width: int, height: int) -> list[SceneObject]:
    """The parts of a drawn thing that are in the picture."""
    found = []
    scale = thing.px_per_m / thing.sprite.px_per_m
    for object_id, name, part in zip(
        thing.object_ids, thing.classes, thing.sprite.boxes, strict=True
    ):
        x0, y0, x1, y1 = (n * scale + thing.at_px[i % 2] for i, n in enumerate(part))
        box = (
            min(max(x0 / width, 0.0), 1.0),
            min(max(y0 / height, 0.0), 1.0),
            min(max(x1 / width, 0.0), 1.0),
            min(max(y1 / height, 0.0), 1.0),
        )
        inside = (box[2] - box[0]) * width * (box[3] - box[1]) * height
        if inside > 0:
            share = min(inside / max((x1 - x0) * (y1 - y0), 1e-6), 1.0)
            found.append(SceneObject(object_id, name, box, visible, share))
    return found


def furnished(backdrop: Backdrop, pieces: Sequence[Piece]) -> Backdrop:
    """The backdrop with pieces of furniture standing in it."""
    image = backdrop.image.copy()
    standing = []
    for piece in sorted(pieces, key=lambda piece: -piece.at_m[1]):
        gain = gain_at(backdrop, piece.at_px)
        thing = Drawn(piece.sprite, piece.at_px, piece.sprite.px_per_m, piece.at_m[1], gain)
        stamp = stamped(image, thing)
        if stamp is not None:
            x0, y0, x1, y1 = stamp.box
            standing.append(Standing(stamp, image[y0:y1, x0:x1].copy(), piece.at_m[1]))
    return Backdrop(image, backdrop.lit, (*backdrop.furniture, *standing))


def _cover(image: U8, piece: Standing, box: tuple[int, int, int, int]) -> None:
    """Draw the part of a piece of furniture that hides what is behind it within a box, in place."""
    x0, y0, x1, y1 = piece.stamp.box
    left, top, right, bottom = max(x0, box[0]), max(y0, box[1]), min(x1, box[2]), min(y1, box[3])
    if left >= right or top >= bottom:
        return
    part = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    cv2.copyTo(piece.picture[part], piece.stamp.body[part], image[top:bottom, left:right])


def gain_at(backdrop: Backdrop, at_px: tuple[float, float]) -> float:
    """How brightly an object standing at a pixel is lit."""
    height, width = backdrop.lit.shape
    u = int(np.clip(at_px[0], 0, width - 1))
    v = int(np.clip(at_px[1], 0, height - 1))
    return float(backdrop.lit[v, u])


def stamped(image: U8, thing: Drawn) -> Stamp | None:
    """Blend one sprite in place; None where all of it is outside the picture."""
    sprite = thing.sprite
    scale = thing.px_per_m / sprite.px_per_m
    height, width = sprite.bgra.shape[:2]
    left, top = thing.at_px[0] - sprite.anchor[0] * scale, thing.at_px[1] - sprite.anchor[1] * scale
    x0, y0 = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
    x1 = min(int(np.ceil(left + width * scale)) + 1, image.shape[1])
    y1 = min(int(np.ceil(top + height * scale)) + 1, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return None
    # Pixel centres: sprite pixel i covers [i, i + 1), warpAffine counts from its middle.
    shift = (scale - 1) / 2
    warp = np.array([[scale, 0, left - x0 + shift], [0, scale, top - y0 + shift]], np.float32)
    size = (x1 - x0, y1 - y0)
    patch = cv2.warpAffine(sprite.bgra, warp, size, flags=cv2.INTER_LINEAR)
    under = image[y0:y1, x0:x1]
    clear = cv2.cvtColor(255 - patch[..., 3], cv2.COLOR_GRAY2BGR)
    body = cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR)
    if abs(thing.gain - 1.0) > 0.02:
        cv2.convertScaleAbs(body, dst=body, alpha=thing.gain)
    cv2.add(cv2.multiply(under, clear, scale=1 / 255), body, dst=under)
    coverage = cv2.warpAffine(sprite.body, warp, size, flags=cv2.INTER_LINEAR)
    _, covered = cv2.threshold(coverage, _SEEN, 255, cv2.THRESH_BINARY)
    return Stamp((x0, y0, x1, y1), np.asarray(covered, np.uint8), sprite.area * scale * scale)


def _visible(stamp: Stamp, nearer: Sequence[Stamp]) -> float:
    """The share of a body that is inside the picture and not under nearer bodies."""
    x0, y0, x1, y1 = stamp.box
    seen = stamp.body.copy()
    for other in nearer:
        a0, b0, a1, b1 = other.box
        left, top, right, bottom = max(x0, a0), max(y0, b0), min(x1, a1), min(y1, b1)
        if left < right and top < bottom:
            over = other.body[top - b0 : bottom - b0, left - a0 : right - a0]
            part = seen[top - y0 : bottom - y0, left - x0 : right - x0]
            cv2.subtract(part, over, dst=part)
    return min(cv2.countNonZero(seen) / max(stamp.area, 1.0), 1.0)


def _shine(image: U8, glow: tuple[float, float, float, float]) -> None:
    """Add a lamp's glare in place."""
    u, v, radius, strength = glow
    reach = int(radius * 3) + 1
    x0, x1 = max(int(u) - reach, 0), min(int(u) + reach + 1, image.shape[1])
    y0, y1 = max(int(v) - reach, 0), min(int(v) + reach + 1, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    across = np.exp(-(((np.arange(x0, x1) - u) / radius) ** 2))
    down = np.exp(-(((np.arange(y0, y1) - v) / radius) ** 2))
    light = np.rint(np.outer(down, across) * 255 * strength).astype(np.uint8)
    part = image[y0:y1, x0:x1]
    cv2.add(part, cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), dst=part)

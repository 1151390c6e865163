"""Figures and furniture onto the backdrop, far to near, with the exact box of everything drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vigil.data import U8
from vigil.scene.backdrop import Backdrop
from vigil.scene.raster import Sprite

Xyxy = tuple[float, float, float, float]
_SEEN = 96  # alpha from which a pixel counts as covered


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object's truth in one frame.

    ``xyxy`` is normalised and amodal within the picture: hidden parts count, parts outside do not.
    ``visible`` is the share of the whole body that is seen: not hidden and not outside.
    """

    object_id: int
    class_name: str
    xyxy: Xyxy
    visible: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sprite to be drawn; object_ids and classes name its parts (empty for furniture)."""

    sprite: Sprite
    at_px: tuple[float, float]
    px_per_m: float
    y_m: float
    gain: float = 1.0
    object_ids: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    glows: tuple[tuple[float, float, float, float], ...] = ()  # x, y px, radius px, strength


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Where a sprite came to lie: its picture rectangle and its coverage there."""

    box: tuple[int, int, int, int]
    body: U8
    area: float  # covered pixels, those outside the picture included


def compose(backdrop: Backdrop, things: Sequence[Drawn]) -> tuple[U8, list[SceneObject]]:
    """Draw all things and the furniture; returns a new picture and the truth of the named parts."""
    image = backdrop.image.copy()
    still = [
        Drawn(
            sprite=piece.sprite,
            at_px=piece.at_px,
            px_per_m=piece.sprite.px_per_m,
            y_m=piece.at_m[1],
            gain=_gain(backdrop, piece.at_px),
        )
        for piece in backdrop.furniture
    ]
    order = sorted([*still, *things], key=lambda thing: -thing.y_m)
    stamps = [_stamp(image, thing) for thing in order]
    for thing in order:
        for glow in thing.glows:
            _shine(image, glow)
    height, width = image.shape[:2]
    found = []
    for index, thing in enumerate(order):
        stamp = stamps[index]
        if not thing.object_ids or stamp is None:
            continue
        nearer = [other for other in stamps[index + 1 :] if other is not None]
        shares = _visible(stamp, nearer)
        scale = thing.px_per_m / thing.sprite.px_per_m
        for object_id, name, part in zip(thing.object_ids, thing.classes, thing.sprite.boxes, strict=True):
            whole = [n * scale + thing.at_px[i % 2] for i, n in enumerate(part)]
            box = (
                min(max(whole[0] / width, 0.0), 1.0),
                min(max(whole[1] / height, 0.0), 1.0),
                min(max(whole[2] / width, 0.0), 1.0),
                min(max(whole[3] / height, 0.0), 1.0),
            )
            if box[2] - box[0] > 0 and box[3] - box[1] > 0:
                found.append(SceneObject(object_id, name, box, shares))
    return image, found


def gain_at(backdrop: Backdrop, at_px: tuple[float, float]) -> float:
    """How brightly an object standing at a pixel is lit."""
    return _gain(backdrop, at_px)


def _gain(backdrop: Backdrop, at_px: tuple[float, float]) -> float:
    height, width = backdrop.lit.shape
    u = int(np.clip(at_px[0], 0, width - 1))
    v = int(np.clip(at_px[1], 0, height - 1))
    return float(backdrop.lit[v, u])


def _stamp(image: U8, thing: Drawn) -> _Stamp | None:
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
    body = patch[..., :3]
    if abs(thing.gain - 1.0) > 0.02:
        body = cv2.convertScaleAbs(body, alpha=thing.gain)
    cv2.add(cv2.multiply(under, clear, scale=1 / 255), body, dst=under)
    coverage = cv2.warpAffine(sprite.body, warp, size, flags=cv2.INTER_LINEAR)
    area = cv2.countNonZero(cv2.compare(sprite.body, _SEEN, cv2.CMP_GT)) * scale * scale
    return _Stamp((x0, y0, x1, y1), coverage, float(area))


def _visible(stamp: _Stamp, nearer: Sequence[_Stamp]) -> float:
    """The share of a body that is inside the picture and not under nearer bodies."""
    x0, y0, x1, y1 = stamp.box
    seen = cv2.compare(stamp.body, _SEEN, cv2.CMP_GT)
    for other in nearer:
        a0, b0, a1, b1 = other.box
        left, top, right, bottom = max(x0, a0), max(y0, b0), min(x1, a1), min(y1, b1)
        if left < right and top < bottom:
            over = other.body[top - b0 : bottom - b0, left - a0 : right - a0]
            part = seen[top - y0 : bottom - y0, left - x0 : right - x0]
            part[over > _SEEN] = 0
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

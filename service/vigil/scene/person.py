"""People: a build with clothes, a pose with joint angles, and the body that both make.

Proportions are those of anthropometric tables (Winter 2009: segment lengths as fractions of height).
"""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32
from vigil.scene.mesh import Mesh, join, limb, loft, slab, tinted
from vigil.scene.palette import Palette, pick

REFERENCE_HEIGHT_M = 1.75


@dataclass(frozen=True, slots=True)
class Build:
    """How one person looks, in all poses. Colours are BGR from 0 to 1."""

    height_m: float
    girth: float  # 1 is average
    skin: F32
    hair: F32
    top: F32
    trim: F32  # stripes, scarf, vest
    bottom: F32
    shoes: F32
    legs: str  # trousers, shorts, skirt
    sleeves: bool
    coat_m: float  # how far a coat hangs below the hips
    stripes: bool
    headgear: str  # none, cap, hood, helmet
    backpack: bool
    bag: bool
    long_hair: bool
    face_seed: int


@dataclass(frozen=True, slots=True)
class Pose:
    """Joint angles in radians, left then right; forward is positive."""

    hip: tuple[float, float]
    knee: tuple[float, float]
    shoulder: tuple[float, float]
    elbow: tuple[float, float]
    lean: float = 0.0
    seat_m: float | None = None  # height of the hips when something carries the body
    spread: float = 0.03


def draw_build(rng: np.random.Generator, palette: Palette) -> Build:
    """A person at random in the palette's colours."""
    child = rng.random() < 0.08
    legs = str(rng.choice(["trousers", "shorts", "skirt"], p=[0.76, 0.14, 0.10]))
    return Build(
        height_m=float(
            rng.uniform(1.1, 1.4) if child else np.clip(rng.normal(1.72, 0.09), 1.5, 1.95)
        ),
        girth=float(np.clip(rng.normal(1.04, 0.13), 0.82, 1.45)),
        skin=pick(palette.skin, rng),
        hair=pick(palette.hair, rng),
        top=pick(palette.cloth, rng),
        trim=pick(palette.cloth, rng),
        bottom=pick(palette.cloth, rng) * np.float32(rng.uniform(0.45, 1.0)),
        shoes=pick(palette.cloth, rng) * np.float32(rng.uniform(0.2, 0.9)),
        legs=legs,
        sleeves=bool(rng.random() < 0.72),
        coat_m=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.3 else 0.04,
        stripes=bool(rng.random() < 0.18),
        headgear=str(rng.choice(["none", "cap", "hood"], p=[0.74, 0.15, 0.11])),
        backpack=bool(rng.random() < 0.2),
        bag=bool(rng.random() < 0.2),
        long_hair=bool(rng.random() < 0.35),
        face_seed=int(rng.integers(1 << 30)),
    )


def walking(phase: float, vigour: float = 1.0) -> Pose:
    """One moment of a step cycle, ``phase`` from 0 to 1; vigour 1 is a brisk walk, 1.8 a run."""
    hips, knees, arms, elbows = [], [], [], []
    for turn in (0.0, np.pi):
        angle = 2 * np.pi * phase + turn
        hips.append(0.05 + 0.42 * min(vigour, 1.5) * np.sin(angle))
        swing = max(0.0, np.cos(angle)) ** 1.3
        knees.append(0.09 + 0.8 * min(vigour, 1.6) * swing)
        arms.append(-0.4 * vigour * np.sin(angle))
        elbows.append(0.25 + 0.18 * vigour + 0.7 * max(0.0, vigour - 1.1))
    return Pose(
        hip=(hips[0], hips[1]),
        knee=(knees[0], knees[1]),
        shoulder=(arms[0], arms[1]),
        elbow=(elbows[0], elbows[1]),
        lean=0.05 * vigour,
    )


def standing(rng: np.random.Generator) -> Pose:
    """Somebody waiting, pointing, or holding a telephone."""
    raised = rng.choice([0.05, 0.3, 0.9], size=2, p=[0.65, 0.2, 0.15])
    bent = np.where(raised > 0.2, rng.uniform(1.0, 1.9, 2), 0.2)
    return Pose(
        hip=(0.04, -0.02),
        knee=(0.06, 0.05),
        shoulder=(float(raised[0]), float(raised[1])),
        elbow=(float(bent[0]), float(bent[1])),
        lean=float(rng.normal(0.02, 0.03)),
        spread=0.06,
    )


def riding(phase: float, *, seat_m: float, lean: float) -> Pose:
    """A rider on a saddle ``seat_m`` high; ``phase`` turns the pedals (constant on a motorcycle)."""
    angle = 2 * np.pi * phase
    hips = [1.0 + 0.33 * np.sin(angle + turn) for turn in (0.0, np.pi)]
    knees = [1.2 - 0.35 * np.sin(angle + turn) for turn in (0.4, np.pi + 0.4)]
    return Pose(
        hip=(hips[0], hips[1]),
        knee=(knees[0], knees[1]),
        shoulder=(0.75 + lean * 0.4, 0.75 + lean * 0.4),
        elbow=(0.45, 0.45),
        lean=lean,
        seat_m=seat_m,
    )


def body(build: Build, pose: Pose) -> Mesh:
    """The person's mesh, facing forward, feet (or what carries the seat) on the ground."""
    rng = np.random.default_rng(build.face_seed)
    legs, hips_m = _legs(build, pose)
    parts = [*legs, *_trunk(build, pose, hips_m), *_arms(build, pose, hips_m)]
    mesh = tinted(join(parts), rng, 0.06)
    scale = np.float32(build.height_m / REFERENCE_HEIGHT_M)
    return Mesh(mesh.corners * scale, mesh.colour, mesh.gloss, mesh.glow, mesh.lift)


def _swing(length_m: float, angle: float) -> F32:
    return np.array([0.0, np.sin(angle), -np.cos(angle)], np.float32) * np.float32(length_m)


def _legs(build: Build, pose: Pose) -> tuple[list[Mesh], float]:
    """Both legs, and the height of the hips that puts the lower foot on the ground."""
    joints = []
    for side, hip, knee in zip((-1, 1), pose.hip, pose.knee, strict=True):
        top = np.array([side * (0.09 + 0.3 * pose.spread), 0.0, 0.0], np.float32)
        middle = top + _swing(0.43, hip)
        middle[0] += side * pose.spread * 0.5
        ankle = middle + _swing(0.42, hip - knee)
        joints.append((top, middle, ankle, hip - knee))
    lowest = min(float(ankle[2]) for _, _, ankle, _ in joints)
    scale = build.height_m / REFERENCE_HEIGHT_M
    hips_m = pose.seat_m / scale if pose.seat_m is not None else 0.085 - lowest
    lift = np.array([0, 0, hips_m], np.float32)
    parts = []
    for top, middle, ankle, angle in joints:
        parts += _leg(build, (top + lift, middle + lift, ankle + lift), angle)
    return parts, hips_m


def _leg(build: Build, joints: tuple[F32, F32, F32], angle: float) -> list[Mesh]:
    top, middle, ankle = joints
    thick = build.girth
    bare = build.legs in {"shorts", "skirt"}
    upper = build.bottom if build.legs != "skirt" else build.skin * 0.9
    lower = build.skin if bare else build.bottom
    cuff = 0.05 if bare else 0.066
    thigh = limb(
        np.stack([top, (top + middle) / 2, middle]),
        [0.098 * thick, 0.088 * thick, 0.066 * thick],
        upper,
        around=9,
    )
    calf = (middle * 0.65 + ankle * 0.35) - np.array([0, 0.02, 0], np.float32)
    shin = limb(
        np.stack([middle, calf, ankle]),
        [0.064 * thick, 0.061 * thick, cuff * thick**0.5],
        lower * 0.96,
        around=9,
    )
    pitch = float(np.clip(angle * 0.8 + 0.05, -0.9, 0.5))
    ahead = np.array([0, np.cos(pitch), np.sin(pitch)], np.float32)
    heel = ankle + np.array([0, 0, -0.045], np.float32) - ahead * np.float32(0.06)
    toe = heel + ahead * np.float32(0.25)
    foot = limb(
        np.stack([heel, (heel + toe) / 2, toe]), [0.045, 0.05, 0.036], build.shoes, around=7
    )
    return [thigh, shin, foot]


def _trunk(build: Build, pose: Pose, hips_m: float) -> list[Mesh]:
    wide = build.girth
    rows = np.array(
        [  # height above the hips, half width, half depth
            [-0.08 - build.coat_m, 0.17 + 0.16 * build.coat_m, 0.13 + 0.16 * build.coat_m],
            [-0.02, 0.172, 0.125],
            [0.10, 0.158, 0.115],
            [0.22, 0.155, 0.115],
            [0.36, 0.178, 0.128],
            [0.47, 0.200, 0.115],
            [0.53, 0.165, 0.090],
            [0.565, 0.075, 0.065],
        ]
    )
    rows[:, 1:] *= np.where(rows[:, :1] < 0.4, wide, wide**0.6)
    if build.coat_m < 0.08:
        rows[:2, 1:] *= 0.97
    sections = np.zeros((len(rows), 5), np.float32)
    sections[:, 1] = np.sin(pose.lean) * rows[:, 0]
    sections[:, 2] = hips_m + rows[:, 0] * np.cos(pose.lean)
    sections[:, 3:] = rows[:, 1:]
    colour = np.broadcast_to(build.top, (len(rows) - 1, 12, 3)).copy()
    if build.stripes:
        colour[1::2] = build.trim
    colour[0] = build.top if build.coat_m > 0.08 else build.bottom
    parts = [loft(sections, colour, around=12, power=0.8)]
    if build.legs == "skirt":
        hem = np.array(
            [[0, 0, hips_m - 0.42, 0.25 * wide, 0.2], [0, 0, hips_m, 0.17 * wide, 0.125]]
        )
        parts.append(loft(hem.astype(np.float32), build.bottom))
    if build.backpack:
        middle = (0.0, sections[4, 1] - 0.2, sections[4, 2] - 0.03)
        parts.append(slab(middle, (0.14, 0.085, 0.2), build.trim, lift=0.03))
    neck = np.array([0, np.sin(pose.lean) * 0.56 + 0.005, hips_m + 0.55], np.float32)
    return [*parts, *_head(build, neck)]


def _head(build: Build, neck: F32) -> list[Mesh]:
    """The neck, and a head whose faces are skin, hair or headgear by where they lie."""
    parts = [
        limb(
            np.stack([neck, neck + np.array([0, 0.02, 0.09], np.float32)]),
            [0.055, 0.05],
            build.skin,
        )
    ]
    rows, around = 9, 14
    polar = np.linspace(0.12, np.pi - 0.12, rows)
    sections = np.zeros((rows, 5), np.float32)
    sections[:, 0], sections[:, 1] = neck[0], neck[1] + 0.025
    sections[:, 2] = neck[2] + 0.175 - 0.118 * np.cos(polar)
    sections[:, 3], sections[:, 4] = 0.08 * np.sin(polar), 0.098 * np.sin(polar)
    angle = (np.arange(around) + 0.5) * (2 * np.pi / around)
    height = -np.cos((polar[:-1] + polar[1:]) / 2)[:, None]
    front = np.sin(angle)[None]
    colour = np.broadcast_to(build.skin, (rows - 1, around, 3)).copy()
    covered = height > 0.62 - 0.9 * np.clip(0.25 - front, 0, 1)
    if build.long_hair:
        covered |= (front < 0.15) & (height > -0.9)
    colour[covered] = build.hair
    colour[(abs(height - 0.12) < 0.14) & (front > 0.6) & (abs(np.cos(angle))[None] > 0.2)] *= 0.55
    if build.headgear == "cap":
        colour[np.broadcast_to(height > 0.3, covered.shape)] = build.trim
    elif build.headgear == "hood":
        colour[(front < 0.45) | (height > 0.7)] = build.top
    elif build.headgear == "helmet":
        colour[np.broadcast_to(height > -0.15, covered.shape) | (front < 0.2)] = build.trim
    grown = 1.12 if build.headgear in {"hood", "helmet"} else 1.0
    sections[:, 3:] *= grown
    parts.append(loft(sections, colour, around=around))
    if build.headgear == "cap":
        brim = (neck[0], neck[1] + 0.14, neck[2] + 0.21)
        parts.append(slab(brim, (0.065, 0.05, 0.008), build.trim, divisions=1))
    return parts


def _arms(build: Build, pose: Pose, hips_m: float) -> list[Mesh]:
    parts = []
    thick = build.girth**0.7
    for side, swing, bend in zip((-1, 1), pose.shoulder, pose.elbow, strict=True):
        joint = np.array(
            [side * 0.205 * build.girth**0.6, np.sin(pose.lean) * 0.48, hips_m + 0.475], np.float32
        )
        elbow = joint + _swing(0.29, swing - pose.lean * 0.5)
        elbow[0] += side * 0.035
        wrist = elbow + _swing(0.25, swing + bend)
        wrist[0] -= side * 0.02
        hand = wrist + (wrist - elbow) * np.float32(0.32)
        sleeve = build.top if build.sleeves else build.skin
        parts += [
            limb(
                np.stack([joint + np.array([0, 0, 0.03], np.float32), (joint + elbow) / 2, elbow]),
                [0.06 * thick, 0.056 * thick, 0.046 * thick],
                build.top * np.float32(0.95),
            ),
            limb(
                np.stack([elbow, wrist]),
                [0.046 * thick, 0.035],
                sleeve * np.float32(0.95),
                around=7,
            ),
            limb(np.stack([wrist, hand]), [0.036, 0.026], build.skin, around=6),
        ]
        if build.bag and side == 1 and pose.seat_m is None:
            middle = hand - np.array([0, 0, 0.22], np.float32)
            parts.append(slab(middle.tolist(), (0.06, 0.17, 0.15), build.trim))
    return parts

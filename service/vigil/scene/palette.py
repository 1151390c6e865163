"""Which side of the split a seed is on, and the colours that each side may use.

Training never sees the demo's and the tests' backgrounds, figures or colours: the sides draw from
disjoint seed ranges, and cloth, paint, ground and wall colours come from lists with nothing in common.
"""

from dataclasses import dataclass

import numpy as np

from vigil.data import F32

TEST_SEEDS = range(1_000_000)
TRAIN_SEEDS = range(1_000_000, 2_000_000)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one side of the split, BGR from 0 to 1."""

    skin: F32  # (N, 3), as all that follow
    hair: F32
    cloth: F32
    paint: F32
    ground: F32
    wall: F32


def palette_of(seed: int) -> Palette:
    """The colours that a scene of this seed may use. Raises ValueError outside both ranges."""
    if seed in TEST_SEEDS:
        return _TEST
    if seed in TRAIN_SEEDS:
        return _TRAIN
    raise ValueError(f"seed {seed} is neither in TEST_SEEDS nor in TRAIN_SEEDS (0 to 1999999)")


def pick(colours: F32, rng: np.random.Generator, *, jitter: float = 0.02) -> F32:
    """One of the colours, varied a little."""
    colour = colours[rng.integers(len(colours))] + rng.normal(0, jitter, 3)
    return np.asarray(np.clip(colour, 0.01, 1.0), np.float32)


def _bgr(*codes: str) -> F32:
    rows = [[int(code[i : i + 2], 16) / 255 for i in (4, 2, 0)] for code in codes]
    return np.array(rows, np.float32)


_TRAIN = Palette(
    skin=_bgr("e8b998", "c68a62", "8a5a3c", "5a3a28", "f0cdb0"),
    hair=_bgr("1c1714", "4a3020", "8a6a3a", "707070", "2a1a10", "b89860"),
    cloth=_bgr(
        "1b1d22",
        "2c3445",
        "e6e4df",
        "8c8f94",
        "9c1f24",
        "2f5d9a",
        "33573a",
        "c9b48a",
        "5b4636",
        "d7762a",
        "6d2f5f",
        "a9c4d8",
        "111111",
        "4c5560",
        "e3c62f",
        "b5485d",
    ),
    paint=_bgr(
        "f2f2f2", "101114", "9aa0a6", "8e1518", "1d3f77", "c9ccd0", "5c6268", "2e4a36", "d9b31c"
    ),
    ground=_bgr("6e6e6c", "8a857c", "5a5c60", "a09788", "7a7f76"),
    wall=_bgr("a67c5f", "b9b3a4", "8d8f92", "d3cabb", "7d5a48", "6f7a80"),
)
_TEST = Palette(
    skin=_bgr("dcab86", "b57a52", "774a30", "f4d6bf"),
    hair=_bgr("241d1a", "5c3b26", "9c7c4c", "86827e"),
    cloth=_bgr(
        "23272e",
        "37415a",
        "f0ece4",
        "777b80",
        "b3312d",
        "24508a",
        "466b3f",
        "d8c7a2",
        "6b4a35",
        "e08a3c",
        "50396f",
        "8fb3c9",
        "17181a",
        "5e6872",
        "c0c435",
        "c46a7c",
    ),
    paint=_bgr("e4e6e8", "1a1c20", "adb2b8", "a3262a", "2a5590", "747a80", "3c5c45"),
    ground=_bgr("767472", "938c80", "64666a", "868a80"),
    wall=_bgr("b0896a", "c4bdae", "989a9c", "8a6652", "7b868c"),
)

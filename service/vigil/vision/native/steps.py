"""A plan's steps as the kernels read them: `cpp/net.cpp` has the same structures, and says what they mean."""

import ctypes
from enum import IntEnum


class Ending(IntEnum):
    """What becomes of a convolution's sums, see `cpp/convolution.h`."""

    STORE = 0
    ADD_TO = 1
    ONTO_BELOW = 2
    FLOATS = 3
    BOXES = 4


class Does(IntEnum):
    """What a step does; of bytes in 8 bits, of halves in bfloat16."""

    CONVOLVE_BYTES = 0
    CONVOLVE_HALVES = 1
    POOL_BYTES = 2
    POOL_HALVES = 3
    SPREAD_BYTES = 4
    SPREAD_HALVES = 5
    CONVOLVE_TERMS_OF_BYTES = 6
    CONVOLVE_TERMS_OF_HALVES = 7
    COPY_BYTES = 8
    COPY_HALVES = 9


class Convolution(ctypes.Structure):
    """Of whole outputs, or of pairs and squares of them from terms."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in (
            "input", "input_row", "input_down", "input_right",
            "output", "output_down", "output_right",
            "below", "below_down", "below_right",
            "weights", "scale", "bias",
        )),
        *((name, ctypes.c_int32) for name in (
            "height", "width", "rows", "run", "vectors", "ending", "most", "odd_width", "odd_height",
            "cells",
        )),
        ("stride", ctypes.c_float),
    ]  # fmt: skip


class Pool(ctypes.Structure):
    """`PyramidPool`'s maxima."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("map", "down", "right", "scratch")),
        *((name, ctypes.c_int32) for name in ("height", "width", "quarter", "unused")),
    ]


class Spread(ctypes.Structure):
    """Terms of inputs, for convolutions of pairs and squares."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("input", "down", "right", "output")),
        *((name, ctypes.c_int32) for name in ("rows", "pairs", "channels", "unused")),
    ]


class Copy(ctypes.Structure):
    """The picture, to where the stem reads it."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("row", "output", "down")),
        *((name, ctypes.c_int32) for name in ("rows", "mean")),
    ]


class Step(ctypes.Structure):
    """One step of a picture's way."""

    _fields_ = [
        ("does", ctypes.c_int32),
        ("unused", ctypes.c_int32),
        ("convolution", Convolution),
        ("pool", Pool),
        ("spread", Spread),
        ("copy", Copy),
    ]


class Sizes(ctypes.Structure):
    """Of a picture, a workspace and an answer."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("image", "space", "grey")),
        *((name, ctypes.c_int32) for name in ("mean", "classes", "cells", "unused")),
    ]

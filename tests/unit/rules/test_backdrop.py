"""What is usual in a scene, and how what has come stands out from it."""

import numpy as np
import pytest

from vigil.data import Glance
from vigil.rules.backdrop import Backdrop

SHAPE = (72, 128)
THING = np.s_[30:50, 60:64]  # cells
POST = np.s_[36:62, 60:64]


def picture(seq, **greys):
    colour = np.full((*SHAPE, 3), 130, np.uint8)
    for place, cells in (("post", POST), ("thing", THING)):
        if place in greys:
            colour[cells] = greys[place]
    return Glance(seq=seq, colour=colour, edges=np.zeros(SHAPE, np.uint8), change=0.0)


def contrast_gain(before, after):
    backdrop, free = Backdrop(SHAPE), np.ones(SHAPE, np.bool_)
    for seq in range(60):
        backdrop.take(picture(seq, **(before if seq < 30 else after)), free=free, step_s=0.2)
    cells = np.zeros(SHAPE, np.bool_)
    cells[THING] = True
    return backdrop.contrast_gain(cells)


def test_what_comes_stands_out_and_what_is_taken_stood_out():
    assert contrast_gain({}, {"thing": 160}) == pytest.approx(30.0, abs=2.0)
    assert contrast_gain({"thing": 160}, {}) == pytest.approx(-30.0, abs=2.0)


def test_a_pale_thing_stands_out_though_it_hides_most_of_a_dark_post():
    """Three fifths of its border were dark against the ground before, which is no closed outline."""
    assert contrast_gain({"post": 20}, {"post": 20, "thing": 160}) == pytest.approx(30.0, abs=2.0)

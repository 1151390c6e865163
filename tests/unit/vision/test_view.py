import numpy as np
import pytest

from vigil.vision.crop import MARGIN, cut, place_of
from vigil.vision.letterbox import Letterbox
from vigil.vision.view import View


def test_a_crop_has_its_margin_and_ends_at_the_picture() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    assert place_of(picture, (0.25, 0.4, 0.5, 0.6)) == (45, 35, 105, 65)
    assert place_of(picture, (0.25, 0.4, 0.5, 0.6), margin=0.0) == (50, 40, 100, 60)
    assert place_of(picture, (0.0, 0.0, 1.0, 1.0)) == (0, 0, 200, 100)
    assert cut(picture, (1.0, 1.0, 1.0, 1.0)).shape == (1, 1, 3), "a pixel is left"
    assert MARGIN > 0


@pytest.mark.parametrize("hw", [(90, 160), (160, 90), (64, 64)])
def test_a_map_over_the_input_is_brought_onto_the_picture(hw: tuple[int, int]) -> None:
    picture = np.full((*hw, 3), 50, np.uint8)
    view = View.of_picture(picture, Letterbox.fit(hw, (64, 96)))
    shown = (view.pixels[:, :, 0] == 50).astype(np.float32)
    part = view.onto_place(shown)
    assert part.min() == 1.0, "none of it is grey"
    assert part.sum() == shown.sum(), "and all of the picture is in it"
    assert view.place == (0, 0, hw[1], hw[0])


def test_a_map_over_a_crop_lies_where_it_was_cut() -> None:
    picture = np.full((100, 200, 3), 50, np.uint8)
    view = View.of_object(picture, (0.25, 0.4, 0.5, 0.6), side_px=32)
    assert view.place == (45, 35, 105, 65)
    assert view.onto_place(np.ones((4, 4), np.float32)).shape == (16, 32)
    assert View.of_object(picture, None, side_px=32).place == (0, 0, 200, 100)

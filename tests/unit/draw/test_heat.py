import numpy as np
import pytest

from vigil.draw.heat import caption, draw_heat


def test_cold_parts_stay_as_they_are_and_hot_ones_are_red() -> None:
    picture = np.full((60, 80, 3), 100, np.uint8)
    heat = np.zeros((6, 8), np.float32)
    heat[:, 6:] = 1.0
    drawn = draw_heat(picture, heat)
    assert (drawn[:, :40] == picture[:, :40]).all()
    blue, green, red = (int(v) for v in drawn[30, 75])
    assert red > 100
    assert red > blue
    assert red > green
    assert (picture == 100).all(), "the picture itself is left alone"


def test_a_map_of_a_part_changes_nothing_else() -> None:
    picture = np.full((60, 80, 3), 100, np.uint8)
    drawn = draw_heat(picture, np.ones((4, 4), np.float32), place=(20, 10, 40, 30))
    changed = (drawn != picture).any(axis=2)
    assert changed[10:30, 20:40].all()
    assert changed.sum() == 400


@pytest.mark.parametrize("box", [None, (0.1, 0.2, 0.6, 0.9), (0.0, 0.0, 1.0, 1.0)])
def test_a_caption_fits_into_any_picture(box: tuple[float, float, float, float] | None) -> None:
    for hw in ((40, 30), (360, 640)):
        picture = np.zeros((*hw, 3), np.uint8)
        caption(picture, "motorcycle 0.97", box)
        assert picture.any()

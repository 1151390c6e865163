import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.vision.letterbox import PAD_VALUE, Letterbox

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


def test_the_picture_is_centred_and_the_rest_is_grey() -> None:
    place = Letterbox.fit((100, 100), (64, 96))
    out = np.zeros((64, 96, 3), np.uint8)
    place.draw(np.full((100, 100, 3), 200, np.uint8), out)
    assert place.scaled_hw == (64, 64)
    assert (out[:, 16:80] == 200).all()
    assert (out[:, :16] == PAD_VALUE).all()
    assert (out[:, 80:] == PAD_VALUE).all()


def test_every_byte_of_the_input_is_written() -> None:
    image = np.full((50, 200, 3), 9, np.uint8)
    drawn = [np.full((96, 160, 3), fill, np.uint8) for fill in (0, 255)]
    for out in drawn:
        Letterbox.fit((50, 200), (96, 160)).draw(image, out)
    assert (drawn[0] == drawn[1]).all()


def test_draw_writes_into_shared_memory() -> None:
    slab = bytearray(2 * 64 * 96 * 3)
    slots = np.frombuffer(slab, np.uint8).reshape(2, 64, 96, 3)
    Letterbox.fit((480, 640), (64, 96)).draw(np.full((480, 640, 3), 77, np.uint8), slots[1])
    assert slots[0].max() == 0
    assert slots[1, 32, 48, 0] == 77


def test_an_equal_size_is_copied_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    out = np.zeros_like(image)
    Letterbox.fit((64, 96), (64, 96)).draw(image, out)
    assert (out == image).all()


@given(source=SIZES, input_hw=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_boxes_go_there_and_back(source: tuple[int, int], input_hw: tuple[int, int]) -> None:
    place = Letterbox.fit(source, (input_hw[0] * 32, input_hw[1] * 32))
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 0.75]], np.float32)
    assert np.allclose(place.to_source_normalised(place.to_input_px(boxes)), boxes, atol=1e-4)


@given(source=SIZES)
def test_the_picture_lies_within_the_input(source: tuple[int, int]) -> None:
    place = Letterbox.fit(source, (384, 640))
    assert place.top >= 0
    assert place.left >= 0
    assert place.top + place.scaled_hw[0] <= 384
    assert place.left + place.scaled_hw[1] <= 640


def test_boxes_in_the_padding_are_clipped() -> None:
    place = Letterbox.fit((100, 100), (64, 96))
    found = place.to_source_normalised(np.array([[0.0, 0.0, 96.0, 64.0]], np.float32))
    assert found.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_wrong_shapes_are_refused() -> None:
    place = Letterbox.fit((100, 100), (64, 96))
    with pytest.raises(ValueError, match="letterbox"):
        place.draw(np.zeros((99, 100, 3), np.uint8), np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(ValueError, match="no area"):
        Letterbox.fit((0, 10), (64, 96))


def test_a_stretched_picture_fills_the_input() -> None:
    place = Letterbox.fit((100, 100), (64, 96), stretch=True)
    out = np.zeros((64, 96, 3), np.uint8)
    place.draw(np.full((100, 100, 3), 200, np.uint8), out)
    assert (out == 200).all()
    boxes = np.array([[0.25, 0.5, 0.5, 0.75]], np.float32)
    assert place.to_input_px(boxes).tolist() == [[24.0, 32.0, 48.0, 48.0]]
    assert np.allclose(place.to_source_normalised(place.to_input_px(boxes)), boxes)

import numpy as np

from vigil.training.classify.augment import augmented
from vigil.training.classify.recipe import NO_AUGMENTATION, Augmentation


def test_no_augmentation_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 16, 3), np.uint8)
    assert np.array_equal(augmented(image, NO_AUGMENTATION, rng), image)


def test_every_kind_changes_the_picture_and_keeps_its_shape() -> None:
    plain = {"shift": 0.0, "flip_chance": 0.0, "colour_chance": 0.0, "erase_chance": 0.0}
    for change in ({"flip_chance": 1.0}, {"colour_chance": 1.0}, {"erase_chance": 1.0}):
        rng = np.random.default_rng(1)
        image = rng.integers(0, 256, (16, 16, 3), np.uint8)
        out = augmented(image, Augmentation(**{**plain, **change}), rng)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert not np.array_equal(out, image), change


def test_a_shift_moves_at_most_its_share() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[8, 8] = 255
    how = Augmentation(shift=0.125, flip_chance=0.0, colour_chance=0.0, erase_chance=0.0)
    places = {
        tuple(np.argwhere(augmented(image, how, np.random.default_rng(i))[..., 0] == 255)[0])
        for i in range(60)
    }
    assert len(places) > 10
    assert all(6 <= y <= 10 and 6 <= x <= 10 for y, x in places)

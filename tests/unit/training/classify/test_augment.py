import msgspec
import numpy as np

from vigil.training.classify.augment import augmented
from vigil.training.classify.recipe import NO_AUGMENTATION, Augmentation


def test_no_augmentation_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 16, 3), np.uint8)
    assert np.array_equal(augmented(image, NO_AUGMENTATION, rng), image)


def test_every_kind_changes_the_picture_and_keeps_its_shape() -> None:
    plain = {"shift": 0.0, "flip_chance": 0.0, "colour_chance": 0.0, "erase_chance": 0.0}
    for change in (
        {"flip_chance": 1.0}, {"colour_chance": 1.0}, {"erase_chance": 1.0}, {"zoom": 0.5},
        {"stretch": 0.5}, {"grey_chance": 1.0}, {"degrade_chance": 1.0},
    ):  # fmt: skip
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


def extents(**change: float) -> list[tuple[int, int]]:
    """Heights and widths that a bright square of 32 of 64 px comes to in 40 versions."""
    image = np.full((64, 64, 3), 114, np.uint8)
    image[16:48, 16:48] = 255
    how = msgspec.structs.replace(NO_AUGMENTATION, **change)
    found = []
    for i in range(40):
        bright = augmented(image, how, np.random.default_rng(i))[..., 0] > 184
        found.append((int(bright.any(1).sum()), int(bright.any(0).sum())))
    return found


def test_a_zoom_keeps_the_aspect_within_its_limits() -> None:
    sizes = extents(zoom=0.25)
    assert all(abs(height - width) <= 1 for height, width in sizes)
    assert min(sizes)[0] < 28 < 38 < max(sizes)[0]
    assert all(32 / 1.25 - 1 <= height <= 32 * 1.25 + 1 for height, _ in sizes)


def test_a_stretch_changes_the_aspect_and_not_the_area() -> None:
    sizes = extents(stretch=0.44)
    assert all(abs(height * width / 1024 - 1) < 0.12 for height, width in sizes)
    aspects = [width / height for height, width in sizes]
    assert min(aspects) < 0.85 < 1.18 < max(aspects)
    assert all(1 / 1.55 <= aspect <= 1.55 for aspect in aspects)


def test_a_part_is_cut_from_one_side_and_fills_the_square_again() -> None:
    image = np.full((64, 64, 3), 114, np.uint8)
    image[16:48, :, 0] = np.arange(64) * 3  # wide, brighter to the right
    image[16:48, :, 2] = np.arange(32)[:, None] * 7  # and redder below
    how = msgspec.structs.replace(NO_AUGMENTATION, partial_chance=1.0)
    sides = set()
    for i in range(40):
        out = augmented(image, how, np.random.default_rng(i))
        inside = (out != 114).any(2)
        blue, red = out[..., 0][inside], out[..., 2][inside]
        assert max(inside.any(0).sum(), inside.any(1).sum()) == 64
        cut = (blue.min() > 15, blue.max() < 170, red.min() > 15, red.max() < 200)
        assert sum(cut) == 1
        sides.add(cut.index(True))
        spread = max((blue.max() - blue.min()) / 189, 0) if cut.index(True) < 2 else None
        assert spread is None or 0.35 < spread < 0.95
    assert sides == {0, 1, 2, 3}
    assert np.array_equal(
        augmented(np.full_like(image, 114), how, np.random.default_rng(1)), np.full_like(image, 114)
    )


def test_grey_is_grey_and_what_is_far_has_no_fine_detail() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    grey = augmented(image, msgspec.structs.replace(NO_AUGMENTATION, grey_chance=1.0), rng)
    assert (grey == grey[..., :1]).all()
    far = augmented(image, msgspec.structs.replace(NO_AUGMENTATION, degrade_chance=1.0), rng)
    assert np.abs(np.diff(far.astype(int), axis=0)).mean() < 30
    assert np.abs(np.diff(image.astype(int), axis=0)).mean() > 60


def test_what_a_recipe_does_not_ask_for_draws_no_lots() -> None:
    """So that runs of older recipes stay what they were."""
    rng, plain = np.random.default_rng(1), np.random.default_rng(1)
    augmented(np.zeros((8, 8, 3), np.uint8), NO_AUGMENTATION, rng)
    plain.random(3)  # flip, colour, erase
    assert rng.random() == plain.random()

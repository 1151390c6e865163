"""A small moving scene: the same twice, boxes where the pixels are, a film that plays."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vigil.host.capture import CaptureLimits, open_capture
from vigil.scene.backdrop import build_backdrop
from vigil.scene.compose import SceneObject
from vigil.scene.film import UnwritableVideo, read_truth, render_to_file
from vigil.scene.moving import KINDS, Scene
from vigil.scene.palette import TEST_SEEDS, TRAIN_SEEDS, palette_of
from vigil.scene.script import HALTS
from vigil.scene.truth import truth_events
from vigil.spec import LineRule, Point, Source, ZoneRule

RULES = (
    ZoneRule(rule_id="z", polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1))),
    LineRule(rule_id="l", points=(Point(0, 0.5), Point(1, 0.5))),
)


def small(seed: int = 3, **options: object) -> Scene:
    settings = {"duration_s": 2.0, "width_px": 320, "height_px": 180, "fps": 5.0} | options
    return Scene(seed, **settings)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_pictures_and_boxes() -> None:
    once, again = list(small(duration_s=4.0).frames()), list(small(duration_s=4.0).frames())
    assert len(once) == 20
    for a, b in zip(once, again, strict=True):
        assert (a.image == b.image).all()
        assert a.objects == b.objects


def test_another_seed_gives_another_scene() -> None:
    first, other = next(small(3).frames()), next(small(4).frames())
    assert (first.image != other.image).mean() > 0.5


@pytest.mark.parametrize("kind", [*KINDS, HALTS])
def test_every_kind_renders_by_day_and_night(kind: str) -> None:
    for look in ("day", "night"):
        frames = list(small(5, kind=kind, look=look, duration_s=0.6).frames())
        assert frames[0].image.shape == (180, 320, 3)
        assert frames[0].image.dtype == np.uint8


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="use one of demo"):
        small(kind="beach")


def test_boxes_lie_where_the_picture_differs_from_the_empty_scene() -> None:
    scene = small(9, duration_s=11.0, fps=1.0, width_px=640, height_px=360)
    full = scene.frames()
    empty = small(9, duration_s=11.0, fps=1.0, width_px=640, height_px=360)
    empty.actors = ()
    checked = 0
    for frame, bare in zip(full, empty.frames(), strict=True):
        differs = np.abs(frame.image.astype(int) - bare.image).sum(axis=2) > 24
        apart = [
            thing
            for thing in frame.objects
            if thing.visible > 0.99 and thing.in_view > 0.99 and thing.class_name == "person"
        ]
        for thing in apart:
            x0, y0, x1, y1 = np.multiply(thing.xyxy, (640, 360, 640, 360))
            # A body reaches every side of its box to within two pixels; its own shadow lies outside.
            part = differs[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
            rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
            assert rows[0] <= 2
            assert len(part) - 1 - rows[-1] <= 2
            assert columns[0] <= 2
            assert part.shape[1] - 1 - columns[-1] <= 2
            checked += 1
    assert checked >= 8


def test_visible_shares_fall_where_figures_hide_each_other() -> None:
    shares = [
        thing.visible
        for frame in small(7, duration_s=30.0, fps=2.0, width_px=640, height_px=360).frames()
        for thing in frame.objects
    ]
    assert min(shares) < 0.7
    assert np.median(shares) > 0.95


def test_a_minute_of_the_demo_has_sixty_true_events() -> None:
    scene = small(7, duration_s=60.0, fps=10.0)
    moments = []
    for index in range(600):
        objects = []
        for actor in scene.actors:
            at = actor.journey.at(index / 10, stride_m=1.0)
            if at is None or "person" not in actor.figure.classes:
                continue
            u, v = scene.camera.pixel(at.x_m, at.y_m)
            x, y = u / 320, v / 180
            if -0.02 < x < 1.02:
                objects.append(SceneObject(actor.object_id, "person", (x, y - 0.1, x, y), 1.0, 1.0))
        moments.append((index / 10, objects))
    required = [event for event in truth_events(moments, RULES) if event.required]
    assert len(required) >= 60


def test_a_film_plays_and_its_truth_matches(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    calls: list[tuple[int, int]] = []
    truth = render_to_file(small(), path, progress=lambda done, of: calls.append((done, of)))
    assert calls[-1] == (10, 10)
    assert read_truth(path) == truth
    assert len(truth.frames) == 10
    capture = open_capture(Source(uri=path.as_uri()), CaptureLimits(5.0, 5.0))
    count = 0
    while capture.grab():
        count += 1
    capture.close()
    assert count == 10


def test_an_unwritable_film_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnwritableVideo, match="cannot write"):
        render_to_file(small(), tmp_path / "missing" / "film.mp4")


def test_training_and_test_sides_share_nothing() -> None:
    assert not set(TEST_SEEDS) & set(TRAIN_SEEDS)
    test, train = palette_of(TEST_SEEDS.start), palette_of(TRAIN_SEEDS.start)
    for name in ("skin", "hair", "cloth", "paint", "ground", "wall"):
        ours = {tuple(row) for row in getattr(test, name).tolist()}
        theirs = {tuple(row) for row in getattr(train, name).tolist()}
        assert not ours & theirs
    with pytest.raises(ValueError, match="neither"):
        palette_of(TRAIN_SEEDS.stop)


def test_furniture_hides_what_stands_behind_it() -> None:
    scene = small(7, width_px=640, height_px=360)
    backdrop = scene._backdrop()
    assert backdrop.furniture
    bare = build_backdrop(
        scene.layout, scene.camera, scene.look,
        rng=np.random.default_rng(1), palette=palette_of(7), clutter=0,
    )  # fmt: skip
    assert not bare.furniture
    piece = backdrop.furniture[0]
    x0, y0, x1, y1 = piece.stamp.box
    assert (piece.picture == backdrop.image[y0:y1, x0:x1]).mean() > 0.5
    assert cv2.countNonZero(piece.stamp.body) > 0

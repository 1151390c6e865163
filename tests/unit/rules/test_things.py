"""object.left and object.removed: things before a textured wall, people who hide them, changing light."""

import cv2
import numpy as np
import pytest

from tests.unit.rules.test_camera_health import glances
from tests.unit.rules.walk import CLASSES, LOST, moment, track
from vigil.rules import RuleSet
from vigil.scene.moving import Scene
from vigil.spec import Point, StationaryRule

STEP_S = 0.2
DURATION_S = 5.0
BAG = (220, 150, 246, 180)  # px of 512 x 288
RULE = StationaryRule(rule_id="bags", duration_s=DURATION_S)


@pytest.fixture(scope="module")
def place():
    """A picture of an empty place."""
    scene = Scene(43, duration_s=0.2, fps=5.0, kind="hall", width_px=512, height_px=288)
    return next(iter(scene.frames())).image


class Film:
    """Pictures of the place, noise on each, and who is tracked in them."""

    def __init__(self, place):
        self.place, self.frames = place, []
        rng = np.random.default_rng(3)
        self._grain = [rng.normal(0.0, 2.0, place.shape).astype(np.float32) for _ in range(3)]

    def shade(self, left, top, right, bottom):
        """A shadow falls there from now on."""
        light = np.ones((*self.place.shape[:2], 1), np.float32)
        light[top:bottom, left:right] = 0.7
        light = cv2.GaussianBlur(light, (0, 0), 6.0)[..., None]
        self.place = (self.place * light).astype(np.uint8)
        return self

    def show(self, seconds, *, bag=False, walker=None, light=1.0, tracked=True):
        """``walker``: x of somebody's feet in the picture, moving 6 px a frame."""
        for index in range(round(seconds / STEP_S)):
            picture = self.place.copy()
            if bag:
                left, top, right, bottom = BAG
                cv2.rectangle(picture, (left, top), (right, bottom), (30, 30, 120), -1)
                cv2.rectangle(picture, (left + 6, top + 4), (right - 6, top + 10), (90, 90, 90), -1)
            tracks = ()
            if walker is not None:
                x = walker + 6 * index
                cv2.rectangle(picture, (x - 20, 90), (x + 20, 200), (160, 90, 40), -1)
                if tracked:
                    tracks = (box(x - 20, 90, x + 20, 200),)
            noisy = picture * np.float32(light) + self._grain[len(self.frames) % 3]
            self.frames.append((np.clip(noisy, 0, 255).astype(np.uint8), tracks))
        return self

    def events(self, rule=RULE):
        """(type, phase, frame time, event)."""
        rules = RuleSet((rule,), stream_id="hall", run=1, class_names=CLASSES, labels={})
        told = []
        for index, look in enumerate(glances(picture for picture, _ in self.frames)):
            now = moment(index * STEP_S)
            for event in rules.judge(now, look) + rules.advance(now, self.frames[index][1]):
                told.append((event.type, event.phase.value, now.time_s, event))  # noqa: PERF401
        return told


def box(left, top, right, bottom, **changes):
    found = track(((left + right) / 1024, bottom / 288), **changes)
    corners = (left / 512, top / 288, right / 512, bottom / 288)
    return type(found)(
        **{name: getattr(found, name) for name in found.__slots__} | {"xyxy": corners}
    )


def kinds(told):
    return [(kind, phase) for kind, phase, *_ in told]


def test_a_bag_that_somebody_leaves_and_later_takes_away(place):
    film = Film(place).show(5).show(4, walker=120)  # somebody comes to the place
    left_at = len(film.frames) * STEP_S
    film.show(4, walker=230, bag=True).show(20, bag=True)  # goes on without the bag
    taken_at = len(film.frames) * STEP_S
    told = film.show(6).events()
    assert kinds(told) == [("object.left", "new"), ("object.left", "end")]
    first, last = told[0][3], told[1][3]
    assert first.bbox == pytest.approx(
        [n / s for n, s in zip(BAG, (512, 288) * 2, strict=True)], abs=0.03
    )
    assert left_at + DURATION_S <= told[0][2] <= left_at + DURATION_S + 5.0
    assert last.attributes["reason"] == "left"
    assert last.occurred_at_s == pytest.approx(moment(taken_at).utc_s, abs=1.0)
    assert first.track_id is None


def test_something_that_was_there_is_taken_away_and_brought_back(place):
    told = Film(place).show(6, bag=True).show(20).show(6, bag=True).events()
    assert kinds(told) == [("object.removed", "new"), ("object.removed", "end")]
    assert told[1][3].attributes["reason"] == "came"


def test_two_bags_of_which_the_second_is_taken_away(place):
    cv2.rectangle(other := place.copy(), (400, 150), (430, 180), (30, 120, 30), -1)
    film = Film(place).show(5).show(8, bag=True)
    film.place = other
    film.show(8, bag=True)
    film.place = place
    told = film.show(5, bag=True).events()
    assert kinds(told) == [
        ("object.left", "new"),
        ("object.left", "new"),
        ("object.left", "end"),
    ]
    assert told[2][3].episode_id == told[1][3].episode_id != told[0][3].episode_id


def test_a_shadow_is_no_thing(place):
    film = Film(place).show(5).shade(200, 200, 290, 240)
    assert film.show(20).events() == []


def test_the_shadow_that_comes_before_its_thing_does_not_make_it_early(place):
    film = Film(place).show(5).shade(236, 172, 300, 196).show(2)
    told = film.show(15, bag=True).events()
    assert kinds(told) == [("object.left", "new")]
    assert told[0][3].occurred_at_s == pytest.approx(moment(7.0 + DURATION_S).utc_s, abs=0.5)


def test_one_cell_that_changed_long_before_does_not_make_a_thing_early(place):
    film = Film(place).show(5)
    cv2.rectangle(film.place, (228, 160), (231, 163), (30, 30, 200), -1)
    told = film.show(2).show(15, bag=True).events()
    assert told[0][3].occurred_at_s == pytest.approx(moment(7.0 + DURATION_S).utc_s, abs=0.5)


def test_a_thing_in_two_pieces_is_told_once(place):
    film = Film(place).show(5)
    film.place = place.copy()
    cv2.rectangle(film.place, (255, 152), (275, 178), (30, 30, 160), -1)
    assert kinds(film.show(15, bag=True).events()) == [("object.left", "new")]


def test_a_bag_is_remembered_while_people_stand_before_it(place):
    film = Film(place).show(5).show(3, bag=True)
    film.frames += [
        (picture, (box(200, 90, 270, 200, state=LOST),))
        for picture, _ in Film(place).show(20).frames  # wholly hidden
    ]
    told = film.show(4, bag=True).events()
    assert kinds(told)[:1] == [("object.left", "new")]
    assert told[0][2] == pytest.approx(30.0, abs=1.5)  # 3 s in view before, 2 s after


def test_a_bag_is_told_once_its_owner_has_gone_from_beside_it(place):
    film = Film(place).show(5)
    beside = box(248, 90, 290, 200)
    film.frames += [(picture, (beside,)) for picture, _ in Film(place).show(12, bag=True).frames]
    told = film.show(4, bag=True).events()
    assert kinds(told)[:1] == [("object.left", "new")]
    assert told[0][2] == pytest.approx(17.0 + 1.5, abs=1.2)
    assert told[0][3].occurred_at_s == pytest.approx(moment(5.0 + DURATION_S).utc_s, abs=0.5)


def test_what_was_there_for_a_moment_when_the_run_began_is_not_missed(place):
    assert Film(place).show(2.4, bag=True).show(20).events() == []


def test_people_who_pass_or_stand_are_no_things(place):
    film = Film(place).show(5)
    for start in (40, 90, 150):
        film.show(6, walker=start)
    still = [(picture, (box(150, 90, 190, 200),)) for picture, _ in standing(place, 15).frames]
    film.frames += still
    assert film.show(5).events() == []


def standing(place, seconds):
    film = Film(place)
    shown = place.copy()
    cv2.rectangle(shown, (150, 90), (190, 200), (160, 90, 40), -1)
    film.place = shown
    return film.show(seconds)


def test_who_stands_where_a_run_begins_leaves_no_hole(place):
    film = Film(place)
    film.frames += [(p, (box(150, 90, 190, 200),)) for p, _ in standing(place, 10).frames]
    assert film.show(15).events() == []


def test_light_that_changes_is_no_thing(place):
    film = Film(place).show(5)
    for light in (0.8, 0.65, 1.2, 0.9):
        film.show(8, light=light)
    assert film.events() == []


def test_what_was_not_told_when_it_came_is_not_missed_when_it_goes(place):
    rule = StationaryRule(rule_id="a", duration_s=DURATION_S, left=False)
    assert Film(place).show(5).show(12, bag=True).show(12).events(rule) == []
    taken = Film(place).show(6, bag=True).show(12)
    assert kinds(taken.events(rule)) == [("object.removed", "new")]


def test_only_what_is_asked_for(place):
    elsewhere = (Point(0.6, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.6, 1.0))
    film = Film(place).show(5).show(12, bag=True)
    assert kinds(film.events())[0] == ("object.left", "new")
    for rule in (
        StationaryRule(rule_id="a", duration_s=DURATION_S, left=False),
        StationaryRule(rule_id="a", duration_s=DURATION_S, polygon=elsewhere),
        StationaryRule(rule_id="a", duration_s=30.0),
    ):
        assert film.events(rule) == []


def test_a_place_that_is_uncovered_in_the_shadow_of_a_passer_is_empty_from_then_on(place):
    film = Film(place).show(6, bag=True)
    bare, shaded = film.place, film.shade(200, 130, 270, 200).place
    film.show(2)
    film.place = bare
    told = film.show(12).events()
    assert not np.array_equal(bare, shaded)
    assert kinds(told) == [("object.removed", "new")]
    assert told[0][3].occurred_at_s == pytest.approx(moment(6.0 + DURATION_S).utc_s, abs=0.7)


def test_the_second_of_a_shadow_before_a_thing_comes_is_not_the_things(place):
    film = Film(place).show(5)
    bare = film.place
    film.shade(200, 130, 270, 200).show(0.8)
    film.place = bare
    told = film.show(12, bag=True).events()
    assert kinds(told) == [("object.left", "new")]
    assert told[0][3].occurred_at_s == pytest.approx(moment(5.8 + DURATION_S).utc_s, abs=0.3)


def test_a_thing_that_is_put_beside_another_later_is_told_too(place):
    film = Film(place).show(5).show(8, bag=True)
    film.place = film.place.copy()
    cv2.rectangle(film.place, (247, 146), (272, 184), (30, 120, 30), -1)
    told = film.show(10, bag=True).events()
    assert kinds(told) == [("object.left", "new")] * 2
    assert told[1][3].occurred_at_s == pytest.approx(moment(13.0 + DURATION_S).utc_s, abs=0.5)


def test_what_is_seen_above_and_below_a_rail_is_one_thing(place):
    rail = (130, 168), (380, 184)
    cv2.rectangle(railed := place.copy(), *rail, (40, 70, 110), -1)
    film = Film(railed).show(5)
    film.place = railed.copy()
    cv2.rectangle(film.place, (230, 150), (262, 204), (30, 30, 160), -1)
    cv2.rectangle(film.place, *rail, (40, 70, 110), -1)
    assert kinds(film.show(12).events()) == [("object.left", "new")]


def test_a_thing_that_hides_steep_lines_has_been_left_all_the_same(place):
    """Its outline is hardly steeper than they were, but it stands out nearly all around."""
    striped = place.copy()
    for x in range(206, 262, 6):
        cv2.line(striped, (x, 140), (x, 190), (250, 250, 250), 2)
    film = Film(striped).show(5)
    film.place = striped.copy()
    cv2.rectangle(film.place, (210, 146), (256, 184), (30, 30, 160), -1)
    assert kinds(film.show(12).events()) == [("object.left", "new")]

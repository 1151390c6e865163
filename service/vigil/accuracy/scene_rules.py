"""Rules at random for rendered scenes, and the rules' own path with true boxes in place of a detector."""

from collections.abc import Sequence

import numpy as np

from vigil.data import U8, Detections, Event
from vigil.rules import Moment, RuleSet
from vigil.scene.camera import Camera
from vigil.scene.compose import SceneObject
from vigil.scene.moving import Scene
from vigil.scene.script import HALTS, THINGS
from vigil.spec import (
    AbsenceRule,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    LineRule,
    LoiteringRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    SpeedRule,
    StationaryRule,
    ZoneRule,
)
from vigil.tracking import Tracker, TrackerSettings, kinds_of
from vigil.vision.glance import Glancer
from vigil.vision.letterbox import Letterbox

GLANCED_HW = (320, 512)  # a net's input, which glances are taken of
LEAST_SEEN = 0.3  # of an object, for a detector to find it
WHERE = ((0.12, 0.88), (0.4, 0.92))  # x and y that middles of zones and lines come from
RADIUS = (0.1, 0.25)
WIDE_RADIUS = (0.25, 0.6)  # so that things are in them as a whole
HALF_LINE = (0.12, 0.3)
LIMIT_M_PER_S = (0.6, 2.4)


def random_scene_rules(scene: Scene, *, count: int) -> tuple[Rule, ...]:
    """Rules of every kind that a scene of its kind is for in turn, ``count``, the same for the same scene."""
    rng = np.random.default_rng(scene.seed)
    if scene.kind == HALTS:
        return tuple(_halt_rule(rng, number) for number in range(count))
    if scene.kind == THINGS:
        return tuple(_thing_rule(rng, number) for number in range(count))
    return tuple(_rule(rng, number, scene.camera) for number in range(count))


def _thing_rule(rng: np.random.Generator, number: int) -> Rule:
    duration_s = float(rng.uniform(3.0, 6.0))
    return StationaryRule(
        rule_id=f"things-{number}", polygon=_polygon(rng, WIDE_RADIUS), duration_s=duration_s
    )


def _halt_rule(rng: np.random.Generator, number: int) -> Rule:
    """Loitering and parking, by turns."""
    if number % 2:
        duration_s = float(rng.uniform(3.0, 6.0))
        return ParkingRule(
            rule_id=f"parking-{number}", polygon=_polygon(rng), duration_s=duration_s
        )
    return LoiteringRule(
        rule_id=f"loitering-{number}",
        polygon=_polygon(rng),
        duration_s=float(rng.uniform(3.0, 6.0)),
        radius=float(rng.uniform(0.025, 0.05)),
        classes=("person",),
    )


def _rule(rng: np.random.Generator, number: int, camera: Camera) -> Rule:
    match number % 7:
        case 0:
            return ZoneRule(rule_id=f"zone-{number}", polygon=_polygon(rng), dwell_s=2.0)
        case 1:
            return LineRule(rule_id=f"line-{number}", points=_polyline(rng))
        case 2:
            return OccupancyRule(
                rule_id=f"occupancy-{number}",
                polygon=_polygon(rng),
                above=float(rng.integers(0, 3)),
                below=1.0,
                duration_s=1.0,
            )
        case 3:
            return IntrusionRule(rule_id=f"intrusion-{number}", polygon=_polygon(rng))
        case 4:
            return AbsenceRule(rule_id=f"absence-{number}", polygon=_polygon(rng), duration_s=2.0)
        case 5:
            turn = rng.uniform(0.0, 2.0 * np.pi)
            return DirectionRule(
                rule_id=f"direction-{number}",
                polygon=_polygon(rng),
                start=Point(0.5, 0.5),
                end=Point(0.5 + 0.1 * float(np.cos(turn)), 0.5 + 0.1 * float(np.sin(turn))),
            )
        case _:
            return _speed_rule(rng, number, camera)


def _speed_rule(rng: np.random.Generator, number: int, camera: Camera) -> SpeedRule:
    """Too fast or too slow for somebody on foot, who walks at 1 to 1.5 m/s or runs at 2 to 2.5."""
    fast = bool(rng.random() < 0.7)  # too slow happens more often
    limit_m_per_s = float(rng.uniform(*LIMIT_M_PER_S))
    left, right, top = rng.uniform(0.0, 0.25), rng.uniform(0.75, 1.0), rng.uniform(0.2, 0.45)
    corners = ((left, 0.97), (right, 0.97), (right - 0.1, top), (left + 0.1, top))
    places = tuple(Point(float(x), float(y)) for x, y in corners)
    return SpeedRule(
        rule_id=f"speed-{number}",
        calibration=places,
        ground=tuple(
            GroundPoint(*camera.ground(place.x * camera.width_px, place.y * camera.height_px))
            for place in places
        ),
        above_m_per_s=limit_m_per_s if fast else 0.0,
        below_m_per_s=0.0 if fast else limit_m_per_s,
        classes=("person",),
    )


def _middle(rng: np.random.Generator) -> tuple[float, float]:
    (left, right), (top, bottom) = WHERE
    return float(rng.uniform(left, right)), float(rng.uniform(top, bottom))


def _polygon(rng: np.random.Generator, radii: tuple[float, float] = RADIUS) -> tuple[Point, ...]:
    """Four to six corners around a middle, within the picture."""
    x, y = _middle(rng)
    count = int(rng.integers(4, 7))
    turns = 2 * np.pi * (np.arange(count) + rng.uniform(0.0, 0.6, count)) / count
    radius = rng.uniform(*radii)
    corners = np.stack((x + radius * np.cos(turns), y + radius * np.sin(turns)), axis=1)
    return tuple(Point(float(a), float(b)) for a, b in corners.clip(0.02, 0.98))


def _polyline(rng: np.random.Generator) -> tuple[Point, ...]:
    """A line of two or three points."""
    x, y = _middle(rng)
    turn, half = rng.uniform(0.0, np.pi), rng.uniform(*HALF_LINE)
    way = np.array([np.cos(turn), np.sin(turn)])
    bend = rng.normal(0.0, 0.04, 2) if rng.random() < 0.5 else None
    places = [np.array([x, y]) - half * way, np.array([x, y]) + half * way]
    if bend is not None:
        places.insert(1, np.array([x, y]) + bend)
    return tuple(Point(float(a), float(b)) for a, b in np.clip(places, 0.02, 0.98))


class TrueBoxes:
    """Tracker and rules, given what is truly in each analysed frame."""

    def __init__(self, rules: tuple[Rule, ...], class_names: tuple[str, ...]) -> None:
        self._classes = class_names
        self._glancer = Glancer()
        self._frames = 0
        self._tracker = Tracker(TrackerSettings(class_kinds=kinds_of(class_names)))
        self._rules = RuleSet(rules, stream_id="truth", run=1, class_names=class_names, labels={})
        self._last: Moment | None = None
        self.events: list[Event] = []

    def frame(self, time_s: float, objects: Sequence[SceneObject], image: U8) -> None:
        """The next analysed frame; objects that are mostly hidden are not found.

        ``image`` (H, W, 3) BGR is looked at by rules that judge the picture itself.
        """
        seen = [
            thing
            for thing in objects
            if thing.visible >= LEAST_SEEN and thing.class_name in self._classes
        ]
        found = Detections(
            xyxy=np.array([thing.xyxy for thing in seen], np.float32).reshape(-1, 4),
            score=np.full(len(seen), 0.9, np.float32),
            class_id=np.array([self._classes.index(thing.class_name) for thing in seen], np.int64),
        )
        self._last = Moment(time_s=time_s, utc_s=time_s, captured_s=time_s)
        if self._rules.wants_glances:
            letterbox = Letterbox.fit(image.shape[:2], GLANCED_HW, stretch=False)
            drawn = np.empty((*GLANCED_HW, 3), np.uint8)
            letterbox.draw(image, drawn)
            glance = self._glancer.glance(drawn, letterbox, seq=self._frames)
            self.events += self._rules.judge(self._last, glance)
        self._frames += 1
        self.events += self._rules.advance(self._last, self._tracker.advance(found, time_s=time_s))

    def finish(self) -> list[Event]:
        """All events, with those of the end."""
        if self._last is not None:
            self.events += self._rules.finish(self._last)
        return self.events

"""speed.above and speed.below. Specification: docs/rules/speed.md."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vigil.data import Event
from vigil.rules.area import PLAIN_HYSTERESIS, Area, Departure, Member
from vigil.rules.condition import Condition
from vigil.rules.report import Episode, Reporter
from vigil.rules.subject import Moment, Reason, Subject
from vigil.rules.trail import Trail
from vigil.spec import GroundPoint, Point, SpeedRule

TRAIL_S = 2.5  # feet shake: over 1.5 s precision at limits near walking pace was 0.40, not 0.58
LEAST_TRAIL_S = 0.75  # a speed measured over less is not told
JUMP_S = 0.4  # a foot, smoothed by the tracker, takes so long from one place to another
DOUBT = 1.5  # standard errors that a speed is past its limit by when it is told
SLACK = 0.1  # an episode ends this part past its limit
LEAST_DEPTH = 1e-3  # nearer to the horizon a pixel is farther than anybody calibrated


@dataclass(slots=True)
class _Drive:
    trail: Trail
    above: Condition
    below: Condition
    top_m_per_s: float = 0.0  # of the episode above the limit
    least_m_per_s: float = math.inf  # of that below it


class SpeedWatch:
    """One speed rule at work on one run."""

    def __init__(self, rule: SpeedRule, reporter: Reporter) -> None:
        self.rule = rule
        polygon = rule.polygon or rule.calibration
        self.area = Area(polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._to_ground = ground_homography(rule.calibration, rule.ground)
        self._drives: dict[int, _Drive] = {}

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Begin to measure."""
        self._drives[member.track_id] = _Drive(
            Trail(TRAIL_S),
            above=Condition(partial(self._begin, "above", member.subject), 0.0),
            below=Condition(partial(self._begin, "below", member.subject), 0.0),
        )
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Measure, and compare with the limits."""
        drive, rule = self._drives[member.track_id], self.rule
        place = on_ground(self._to_ground, member.subject.foot)
        if place is None:
            return
        drive.trail.add(moment.time_s, place)
        if drive.trail.lasts_s < LEAST_TRAIL_S:
            return
        speed = math.hypot(*drive.trail.moved())
        drive.top_m_per_s = max(drive.top_m_per_s, speed) if drive.above.is_open else speed
        drive.least_m_per_s = min(drive.least_m_per_s, speed) if drive.below.is_open else speed
        doubt = DOUBT * drive.trail.error()
        told = {"speed_m_per_s": round(speed, 2)}
        if rule.above_m_per_s > 0.0:
            least_m_per_s = (1.0 - SLACK) * rule.above_m_per_s
            if speed - doubt > rule.above_m_per_s and (
                drive.above.is_open or drive.trail.speed_without_jump(JUMP_S) > least_m_per_s
            ):
                yield from drive.above.hold(moment, at_s=moment.time_s, **told)
            elif speed < least_m_per_s:
                yield from _cease_above(drive, moment, Departure(moment.time_s, Reason.LEFT))
        if rule.below_m_per_s > 0.0:
            if speed + doubt < rule.below_m_per_s:
                yield from drive.below.hold(moment, at_s=moment.time_s, **told)
            elif speed > (1.0 + SLACK) * rule.below_m_per_s:
                yield from _cease_below(drive, moment, Departure(moment.time_s, Reason.LEFT))

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """It is measured no more."""
        drive = self._drives.pop(member.track_id)
        yield from _cease_above(drive, moment, departure)
        yield from _cease_below(drive, moment, departure)

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def resume(self, moment: Moment) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """Nothing else is open."""
        yield from ()

    def _begin(self, edge: str, subject: Subject) -> Episode:
        return self._reporter.episode(
            f"speed.{edge}", rule_id=self.rule.rule_id, edge=edge, subject=subject
        )


def _cease_above(drive: _Drive, moment: Moment, departure: Departure) -> Iterator[Event]:
    top = round(drive.top_m_per_s, 2)
    yield from drive.above.cease(
        moment, at_s=departure.at_s, reason=departure.reason, top_speed_m_per_s=top
    )


def _cease_below(drive: _Drive, moment: Moment, departure: Departure) -> Iterator[Event]:
    least = round(drive.least_m_per_s, 2)
    yield from drive.below.cease(
        moment, at_s=departure.at_s, reason=departure.reason, least_speed_m_per_s=least
    )


def ground_homography(
    places: tuple[Point, ...], ground: tuple[GroundPoint, ...]
) -> NDArray[np.float64]:
    """The (3, 3) homography from picture to ground that four pairs fix (Hartley and Zisserman, 4.1).

    Its last coordinate is 1 amid the four places, which are never on the horizon, and above 0 on their side
    of it. (To be 1 at the picture's corner, as is usual, it has no solution where the horizon meets that.)
    """
    middle_x, middle_y = (sum(axis) / len(places) for axis in zip(*places, strict=True))
    rows, values = [], []
    for (x, y), (x_m, y_m) in zip(places, ground, strict=True):
        x, y = x - middle_x, y - middle_y
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -x * x_m, -y * x_m])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -x * y_m, -y * y_m])
        values += [x_m, y_m]
    solved, *_ = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)
    to_middle = np.array([[1.0, 0.0, -middle_x], [0.0, 1.0, -middle_y], [0.0, 0.0, 1.0]])
    homography: NDArray[np.float64] = np.append(solved, 1.0).reshape(3, 3) @ to_middle
    return homography


def on_ground(homography: NDArray[np.float64], place: Point) -> Point | None:
    """A place of the picture on the ground, in metres; None on and beyond the horizon."""
    x, y, w = (homography @ (place.x, place.y, 1.0)).tolist()
    return Point(x / w, y / w) if w > LEAST_DEPTH else None

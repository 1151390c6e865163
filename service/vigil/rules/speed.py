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
DOUBT = 1.5  # standard errors that a speed is past its limit by when it is told
SLACK = 0.1  # an episode ends this part past its limit


@dataclass(slots=True)
class _Drive:
    trail: Trail
    above: Condition
    below: Condition
    top_m_per_s: float = 0.0


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
        drive.trail.add(moment.time_s, on_ground(self._to_ground, member.subject.foot))
        if drive.trail.lasts_s < LEAST_TRAIL_S:
            return
        speed = math.hypot(*drive.trail.moved())
        drive.top_m_per_s = max(drive.top_m_per_s, speed)
        doubt = DOUBT * drive.trail.error()
        told = {"speed_m_per_s": round(speed, 2)}
        if rule.above_m_per_s > 0.0:
            if speed - doubt > rule.above_m_per_s:
                yield from drive.above.hold(moment, at_s=moment.time_s, **told)
            elif speed < (1.0 - SLACK) * rule.above_m_per_s:
                yield from self._cease(
                    drive.above, drive, moment, Departure(moment.time_s, Reason.LEFT)
                )
        if rule.below_m_per_s > 0.0:
            if speed + doubt < rule.below_m_per_s:
                yield from drive.below.hold(moment, at_s=moment.time_s, **told)
            elif speed > (1.0 + SLACK) * rule.below_m_per_s:
                yield from self._cease(
                    drive.below, drive, moment, Departure(moment.time_s, Reason.LEFT)
                )

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """It is measured no more."""
        drive = self._drives.pop(member.track_id)
        for condition in (drive.above, drive.below):
            yield from self._cease(condition, drive, moment, departure)

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def resume(self, moment: Moment) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """Nothing else is open."""
        yield from ()

    def _cease(
        self, condition: Condition, drive: _Drive, moment: Moment, departure: Departure
    ) -> Iterator[Event]:
        yield from condition.cease(
            moment,
            at_s=departure.at_s,
            reason=departure.reason,
            top_speed_m_per_s=round(drive.top_m_per_s, 2),
        )

    def _begin(self, edge: str, subject: Subject) -> Episode:
        return self._reporter.episode(
            f"speed.{edge}", rule_id=self.rule.rule_id, edge=edge, subject=subject
        )


def ground_homography(
    places: tuple[Point, ...], ground: tuple[GroundPoint, ...]
) -> NDArray[np.float64]:
    """The (3, 3) homography from picture to ground that four pairs fix (Hartley and Zisserman, 4.1)."""
    rows, values = [], []
    for (x, y), (x_m, y_m) in zip(places, ground, strict=True):
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -x * x_m, -y * x_m])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -x * y_m, -y * y_m])
        values += [x_m, y_m]
    solved, *_ = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)
    return np.append(solved, 1.0).reshape(3, 3)


def on_ground(homography: NDArray[np.float64], place: Point) -> Point:
    """A place of the picture on the ground, in metres."""
    x, y, w = (homography @ (place.x, place.y, 1.0)).tolist()
    return Point(x / w, y / w) if abs(w) > 1e-9 else Point(math.inf, math.inf)

"""What people saw happen in a clip, as a small text file beside it.

A line is one of

    zone ID [CLASS …] X,Y X,Y X,Y …     a polygon, normalised
    line ID [CLASS …] X,Y X,Y …         right and left as one sees them along the line
    SECONDS TYPE ID [DIRECTION]         it happened: zone.enter, zone.exit, line.cross left or right
    maybe SECONDS TYPE ID [DIRECTION]   it may be told or not: half hidden, or on the edge of the picture
    until SECONDS                       only so much of the clip was watched
    # a remark

Seconds count from the clip's first frame. Where no class is named, a rule is of all classes.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import VigilError
from vigil.scene.truth import TruthEvent
from vigil.spec import Direction, LineRule, Point, Rule, ZoneRule
from vigil.spec.rule_checks import rule_violations

_TYPES = ("zone.enter", "zone.exit", "line.cross")


class UnreadableLabels(VigilError):
    """A file of labelled events has a line that says nothing."""

    code = "INVALID_ARGUMENT"


@dataclass(frozen=True, slots=True)
class LabelledEvents:
    """The rules that a clip was watched with, and what happened by them, in order."""

    rules: tuple[Rule, ...]
    events: tuple[TruthEvent, ...]
    until_s: float = math.inf


def read_labelled_events(path: Path) -> LabelledEvents:
    """Read a file. Raises UnreadableLabels with the line; a file without zone and line, too."""
    rules: dict[str, Rule] = {}
    events: list[TruthEvent] = []
    until_s = math.inf
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableLabels(
            f"{path}: {error}; it is a text file, see docs/accuracy.md"
        ) from error
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            match words:
                case ["zone" | "line" as kind, rule_id, *rest]:
                    rules[rule_id] = _rule(kind, rule_id, rest)
                case ["until", seconds]:
                    until_s = _seconds(seconds)
                case ["maybe", *rest]:
                    events.append(_event(rest, rules, required=False))
                case _:
                    events.append(_event(words, rules, required=True))
        except (ValueError, TypeError, IndexError) as error:
            raise UnreadableLabels(f"{path}:{number}: {line.strip()!r}: {error}") from error
    if not rules:
        raise UnreadableLabels(f"{path} names no zone and no line; see docs/accuracy.md")
    return LabelledEvents(
        rules=tuple(rules.values()),
        events=tuple(sorted(events, key=lambda event: event.time_s)),
        until_s=until_s,
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise ValueError("seconds count from the clip's first frame")
    return seconds


def _rule(kind: str, rule_id: str, words: list[str]) -> Rule:
    classes = tuple(word for word in words if "," not in word)
    points = tuple(Point(*map(float, word.split(","))) for word in words if "," in word)
    if len(points) < (3 if kind == "zone" else 2):
        raise ValueError("a zone has three corners and more, a line two points and more")
    rule: Rule = (
        ZoneRule(rule_id=rule_id, polygon=points, classes=classes)
        if kind == "zone"
        else LineRule(rule_id=rule_id, points=points, classes=classes)
    )
    for violation in rule_violations(kind, rule):
        raise ValueError(f"{violation.field} {violation.description}")
    return rule


def _event(words: list[str], rules: dict[str, Rule], *, required: bool) -> TruthEvent:
    seconds, kind, rule_id, *rest = words
    if kind not in _TYPES:
        raise ValueError(f"{kind} is none of {', '.join(_TYPES)}")
    rule = rules.get(rule_id)
    if rule is None:
        raise ValueError(f"no zone or line above is called {rule_id}")
    if isinstance(rule, LineRule) != (kind == "line.cross"):
        raise ValueError(f"{rule_id} makes no {kind}")
    direction = Direction(rest[0]).value if kind == "line.cross" else ""
    return TruthEvent(
        time_s=_seconds(seconds),
        rule_id=rule_id,
        type=kind,
        object_id=-1,
        class_name="",
        direction=direction,
        required=required,
    )

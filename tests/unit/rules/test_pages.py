"""Events bear the attributes that docs/rules names for their phase, and no others."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.unit.rules.walk import MIDDLE, play, rule_set, track
from vigil.data import Track
from vigil.spec import (
    AbsenceRule,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    LineRule,
    LoiteringRule,
    MarkerRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    SpeedRule,
    TrackRule,
    TrafficRule,
    ZoneRule,
)

PAGES = Path(__file__).parents[3] / "docs" / "rules"
PHASES = MappingProxyType(
    {"of new": {"new"}, "before the end": {"new", "update"}, "at the end": {"end"}}
)
ACROSS = (Point(0.5, 0.0), Point(0.5, 1.0))
CORNERS = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))
SQUARE_20 = (GroundPoint(0, 0), GroundPoint(20, 0), GroundPoint(20, 20), GroundPoint(0, 20))

AROUND = ((0.1, 0.5),) * 6 + ((0.5, 0.5),) * 70 + ((0.1, 0.5),) * 6  # into the middle, stands, out
TO_AND_FRO = tuple(
    (0.1 + 0.8 * abs(((n / 8) % 2) - 1), 0.5) for n in range(80)
)  # 0.5 of the picture a second, across the line every 1.6 s
CAR = 1

SCENES: tuple[tuple[Rule, Sequence[tuple[float, float]]], ...] = (
    (ZoneRule(rule_id="r", polygon=MIDDLE, dwell_s=2.0), AROUND),
    (LineRule(rule_id="r", points=ACROSS), TO_AND_FRO),
    (TrackRule(rule_id="r"), AROUND),
    (MarkerRule(rule_id="r"), AROUND),
    (OccupancyRule(rule_id="r", polygon=MIDDLE, above=0, below=1, update_s=1.0), AROUND),
    (OccupancyRule(rule_id="r", polygon=MIDDLE, above=0), AROUND[:60]),  # open at the run's end
    (TrafficRule(rule_id="r", points=ACROSS, window_s=10, above=2, below=2), AROUND + TO_AND_FRO),
    (TrafficRule(rule_id="r", points=ACROSS, window_s=10, above=2), TO_AND_FRO),
    (DirectionRule(rule_id="r", start=Point(0.1, 0.5), end=Point(0.9, 0.5)), TO_AND_FRO),
    (
        SpeedRule(
            rule_id="r",
            calibration=CORNERS,
            ground=SQUARE_20,
            above_m_per_s=5.0,
            below_m_per_s=1.0,
        ),
        TO_AND_FRO + AROUND,
    ),
    (LoiteringRule(rule_id="r", polygon=MIDDLE, duration_s=2.0), AROUND),
    (IntrusionRule(rule_id="r", polygon=MIDDLE), AROUND),
    (AbsenceRule(rule_id="r", polygon=MIDDLE, duration_s=0.5), ((0.1, 0.5),) * 320 + AROUND),
    (ParkingRule(rule_id="r", polygon=MIDDLE, duration_s=2.0), AROUND),
)


def promised(kind: str) -> dict[tuple[str, str], set[str]]:
    """Attributes by type and phase, of the table of events on a kind's page."""
    table = re.search(r"\| type \|.*\n\|[-| ]+\n((?:\|.*\n)+)", (PAGES / f"{kind}.md").read_text())
    assert table is not None
    found: dict[tuple[str, str], set[str]] = {}
    for row in table[1].splitlines():
        types, phases, _, attributes = (cell.strip() for cell in row.strip("|").split("|"))
        for phase in re.findall(r"new|update|end", phases):
            names: set[str] = set()
            for part in re.sub(r"\(.*?\)", "", attributes).split(";"):
                when = next((words for words in PHASES if part.strip().startswith(words)), "")
                if not when or phase in PHASES[when]:
                    names |= set(re.findall(r"`([a-z_]+)`", part))
            found |= {(kind, phase): names for kind in re.findall(r"`([a-z._]+)`", types)}
    return found


@pytest.mark.parametrize(("rule", "feet"), SCENES, ids=[type(rule).__name__ for rule, _ in SCENES])
def test_events_bear_what_their_page_names(rule: Rule, feet: Sequence[tuple[float, float]]) -> None:
    kind = type(rule).__name__.removesuffix("Rule").lower()
    frames: list[tuple[Track, ...]] = [(track(foot, class_id=CAR),) for foot in feet]
    told = {
        (event.type, event.phase.value): set(event.attributes)
        for _, event in play(rule_set(rule), frames)
    }
    table = promised(kind)
    assert told, "a scene without events shows nothing"
    assert told == {key: table[key] for key in told}


def test_the_scenes_show_every_event_of_these_pages() -> None:
    """Events about pictures have tests of their own: things and camera health."""
    shown = {
        (event.type, event.phase.value)
        for rule, feet in SCENES
        for _, event in play(rule_set(rule), [(track(foot, class_id=CAR),) for foot in feet])
    }
    kinds = {type(rule).__name__.removesuffix("Rule").lower() for rule, _ in SCENES}
    missing = {key for kind in kinds for key in promised(kind)} - shown
    assert missing <= {("traffic.above", "update"), ("traffic.below", "update")}, (
        "these take a minute"
    )

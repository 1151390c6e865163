"""Published events against what truly happened in a rendered scene: precision, recall, and each error."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vigil.accuracy.interval import Share
from vigil.data import Event, Phase
from vigil.scene.truth import TruthEvent

TOLERANCE_S = 1.0
JUDGED_TYPES = (
    "zone.enter",
    "zone.exit",
    "zone.dwell",
    "line.cross",
    "occupancy.above",
    "occupancy.below",
    "intrusion",
    "absence",
    "direction.wrong",
    "speed.above",
    "speed.below",
    "loitering",
    "parking",
    "object.left",
    "object.removed",
)
ENOUGH = 1000  # events of a type that its figures should rest on
_STRICT = ("zone.", "line.", "occupancy.")


def required_share(kind: str) -> float:
    """What precision and recall of a type of event have to reach on rendered scenes."""
    return 0.98 if kind.startswith(_STRICT) else 0.95


@dataclass(frozen=True, slots=True)
class Claim:
    """A published event as it is judged. ``time_s`` is scene time; direction only of line.cross."""

    time_s: float
    rule_id: str
    type: str
    direction: str
    event: Event | None = None

    @classmethod
    def of(cls, event: Event, *, start_s: float) -> "Claim":
        """``start_s`` is the UTC at which the scene's first frame was shown."""
        direction = event.attributes.get("direction")
        return cls(
            time_s=event.occurred_at_s - start_s,
            rule_id=event.rule_id or "",
            type=event.type,
            direction=direction if isinstance(direction, str) else "",
            event=event,
        )


@dataclass(frozen=True, slots=True)
class EventScores:
    """How well claims meet the truth. Optional truth is neither missed nor falsely alarmed about."""

    matched: tuple[tuple[TruthEvent, Claim], ...]
    misses: tuple[TruthEvent, ...]
    false_alarms: tuple[Claim, ...]
    excused: tuple[Claim, ...]  # they met optional truth

    @property
    def precision(self) -> Share:
        """The share of claims that are true."""
        return Share(len(self.matched), len(self.matched) + len(self.false_alarms))

    @property
    def recall(self) -> Share:
        """The share of what had to be published that was."""
        return Share(len(self.matched), len(self.matched) + len(self.misses))

    @property
    def delay_s(self) -> float:
        """The mean of claimed less true time over the matches; 0 without any."""
        delays = [claim.time_s - truth.time_s for truth, claim in self.matched]
        return sum(delays) / len(delays) if delays else 0.0


def score_events(
    truth: Sequence[TruthEvent],
    published: Iterable[Event],
    *,
    start_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> EventScores:
    """Judge published events: same type, rule and direction, within ``tolerance_s``, one to one.

    Events of other types, and updates and ends of episodes, are not judged. Each is judged once, however
    often it was published. ``start_s`` is the UTC at which the scene's first frame was shown.
    """
    once = {event.event_id: event for event in published}
    claims = [
        Claim.of(event, start_s=start_s)
        for event in once.values()
        if event.type in JUDGED_TYPES and event.phase is Phase.NEW
    ]
    return score_claims(truth, claims, tolerance_s=tolerance_s)


def score_claims(
    truth: Sequence[TruthEvent], claims: Sequence[Claim], *, tolerance_s: float = TOLERANCE_S
) -> EventScores:
    """The same of claims in scene time. Required truth is matched first, then optional."""
    kinds: dict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in sorted(claims, key=lambda claim: claim.time_s):
        kinds[claim.type, claim.rule_id, claim.direction].append(claim)
    matched: list[tuple[TruthEvent, Claim]] = []
    misses: list[TruthEvent] = []
    excused: list[Claim] = []
    for required in (True, False):
        by_kind: dict[tuple[str, str, str], list[TruthEvent]] = defaultdict(list)
        for one in sorted(truth, key=lambda one: one.time_s):
            if one.required is required:
                by_kind[one.type, one.rule_id, one.direction].append(one)
        for kind, happened in by_kind.items():
            pairs, missed, left = _match(happened, kinds[kind], tolerance_s)
            kinds[kind] = left
            if required:
                matched += pairs
                misses += missed
            else:
                excused += [claim for _, claim in pairs]
    alarms = sorted(
        (claim for left in kinds.values() for claim in left), key=lambda one: one.time_s
    )
    return EventScores(tuple(matched), tuple(misses), tuple(alarms), tuple(excused))


def _match(
    truth: Sequence[TruthEvent], claims: Sequence[Claim], tolerance_s: float
) -> tuple[list[tuple[TruthEvent, Claim]], list[TruthEvent], list[Claim]]:
    """Pairs within the tolerance, what is missed, what is left; all sorted by time.

    Taking the earliest that fits is optimal, because every event tolerates the same span.
    """
    pairs, missed, left = [], [], []
    place = 0
    for one in truth:
        while place < len(claims) and claims[place].time_s < one.time_s - tolerance_s:
            left.append(claims[place])
            place += 1
        if place < len(claims) and claims[place].time_s <= one.time_s + tolerance_s:
            pairs.append((one, claims[place]))
            place += 1
        else:
            missed.append(one)
    return pairs, missed, [*left, *claims[place:]]

"""The figures of `vigil evaluate events`, as values and as a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vigil.accuracy.events import ENOUGH, Claim, EventScores, required_share
from vigil.accuracy.interval import Share
from vigil.cli.output import columns
from vigil.scene.truth import TruthEvent


def figures_of(scores: Sequence[EventScores]) -> dict[str, Any]:
    """Precision and recall of all events and by their type, with 95 % intervals, and what was excused."""
    told: dict[str, list[TruthEvent] | list[Claim]] = {
        "matched": [truth for score in scores for truth, _ in score.matched],
        "alarms": [claim for score in scores for claim in score.false_alarms],
        "misses": [truth for score in scores for truth in score.misses],
        "excused": [claim for score in scores for claim in score.excused],
    }
    judged = (*told["matched"], *told["misses"], *told["alarms"])
    by_type = {
        kind: _shares(
            {name: sum(one.type == kind for one in these) for name, these in told.items()}
        )
        | _delays(scores, kind)
        for kind in sorted({one.type for one in judged})
    }
    totals = _shares({name: len(these) for name, these in told.items()}) | _delays(scores, "")
    return {**totals, "types": by_type}


def _delays(scores: Sequence[EventScores], kind: str) -> dict[str, Any]:
    """From what happened to the frame that gave its event away: seconds, median and 95th percentile.

    Events bear the time at which they happened, as the tracks have it; they are noticed later.
    """
    delays_s = [
        claim.event.captured_s - truth.time_s
        for score in scores
        for truth, claim in score.matched
        if claim.event is not None and kind in ("", truth.type)
    ]
    if not delays_s:
        return {"trigger_delay_s": None}
    median_s, late_s = np.percentile(delays_s, (50, 95))
    return {"trigger_delay_s": {"median": round(median_s, 3), "p95": round(late_s, 3)}}


def _shares(counts: dict[str, int]) -> dict[str, Any]:
    matched = counts["matched"]
    shares = {
        "precision": (matched, matched + counts["alarms"]),
        "recall": (matched, matched + counts["misses"]),
    }
    figures: dict[str, Any] = {"excused": counts["excused"]}
    for name, (count, of) in shares.items():
        share = Share(count, of)
        figures[name] = round(share.value, 4) if of else None
        figures[f"{name}_95"] = [round(bound, 4) for bound in share.interval()]
        figures[f"{name}_of"] = [count, of]
    return figures


def table(figures: dict[str, Any], *, judged: bool) -> str:
    """By type from pixels, all together, by type from true boxes; ``judged`` against what is required."""
    boxes = figures.get("true_boxes", {"types": {}})["types"]
    named = [*figures["types"].items(), ("all", figures)] if "types" in figures else []
    named += [(f"{kind}, true boxes", each) for kind, each in boxes.items()]
    return columns(
        ("EVENT", "PRECISION", "RECALL", "EXCUSED", "TRIGGER DELAY, MEDIAN, 95 %", "REQUIRED"),
        [
            (
                name,
                str(Share(*each["precision_of"])),
                str(Share(*each["recall_of"])),
                f"{each['excused']:,}",
                _delay_text(each),
                _verdict(name, each) if judged and name != "all" else "",
            )
            for name, each in named
        ],
    )


def _delay_text(figures: dict[str, Any]) -> str:
    delay = figures["trigger_delay_s"]
    return f"{delay['median']:.2f} s, {delay['p95']:.2f} s" if delay else ""


def _verdict(name: str, figures: dict[str, Any]) -> str:
    """Whether a type's figures reach what is required, and rest on enough events."""
    least = required_share(name)
    reached = min(figures["precision"] or 0.0, figures["recall"] or 0.0) >= least
    few = "" if figures["recall_of"][1] >= ENOUGH else f", on fewer than {ENOUGH:,} events"
    return f"{least} {'met' if reached else 'not met'}{few}"

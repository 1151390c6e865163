"""A picture of each miss and false alarm: the analysed frame nearest to it, with its rule and the tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vigil.accuracy.events import EventScores
from vigil.data import U8, Track
from vigil.draw.annotate import Overlay, annotate
from vigil.draw.history import EventLabel
from vigil.spec import Rule

_JPEG_QUALITY = 85


class _Mistake(NamedTuple):
    kind: str
    time_s: float
    type: str
    rule_id: str
    direction: str
    xyxy: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """An analysed frame as it was seen; the picture is kept as JPEG."""

    time_s: float
    jpeg: U8  # (N,)
    tracks: tuple[Track, ...]

    @classmethod
    def of(cls, image: U8, *, time_s: float, tracks: tuple[Track, ...]) -> "SeenFrame":
        """Keep a picture, (H, W, 3) BGR."""
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return cls(time_s, np.asarray(jpeg, np.uint8).reshape(-1), tracks)


def write_mistakes(
    folder: Path,
    scores: EventScores,
    seen: Sequence[SeenFrame],
    *,
    clip: str,
    rules: Sequence[Rule],
    class_names: Sequence[str],
) -> int:
    """Write CLIP-KIND-SECONDS-TYPE-RULE.jpg for each; gives how many. ``seen`` is in order."""
    if not seen:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    times_s = np.array([frame.time_s for frame in seen])
    mistakes = _mistakes(scores)
    for number, mistake in enumerate(mistakes):
        frame = seen[int(np.abs(times_s - mistake.time_s).argmin())]
        image = np.asarray(cv2.imdecode(frame.jpeg, cv2.IMREAD_COLOR), np.uint8)
        text = f"{mistake.kind}: {mistake.type} {mistake.rule_id} {mistake.direction}".rstrip()
        label = EventLabel(f"{text} at {mistake.time_s:.1f} s", mistake.xyxy, freshness=1.0)
        drawn = annotate(
            image,
            tracks=frame.tracks,
            class_names=class_names,
            rules=[rule for rule in rules if rule.rule_id == mistake.rule_id],
            overlay=Overlay(labels=(label,)),
        )
        kind = mistake.kind.replace(" ", "-")
        name = f"{clip}-{kind}-{mistake.time_s:07.2f}-{mistake.type}-{mistake.rule_id}-{number}.jpg"
        cv2.imwrite(str(folder / name), drawn)
    return len(mistakes)


def _mistakes(scores: EventScores) -> list[_Mistake]:
    missed = [
        _Mistake("missed", one.time_s, one.type, one.rule_id, one.direction, None)
        for one in scores.misses
    ]
    false = [
        _Mistake(
            "false alarm",
            one.time_s,
            one.type,
            one.rule_id,
            one.direction,
            one.event.bbox if one.event is not None else None,
        )
        for one in scores.false_alarms
    ]
    return sorted((*missed, *false), key=lambda mistake: mistake.time_s)

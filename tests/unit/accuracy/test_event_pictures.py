from pathlib import Path

import cv2
import numpy as np

from tests.unit.api.memory_fleet import an_event
from vigil.accuracy.event_pictures import SeenFrame, write_mistakes
from vigil.accuracy.events import Claim, EventScores
from vigil.scene.truth import TruthEvent
from vigil.spec import LineRule, Point

LINE = LineRule(rule_id="door", points=(Point(0.5, 0), Point(0.5, 1)))


def test_each_mistake_gets_the_nearest_frame_with_its_rule(tmp_path: Path) -> None:
    """Frames are plain greys, so that the picture tells which one was taken."""
    seen = [
        SeenFrame.of(np.full((90, 160, 3), 40 * n, np.uint8), time_s=float(n), tracks=())
        for n in range(5)
    ]
    event = an_event(type="line.cross", bbox=(0.1, 0.1, 0.2, 0.3))
    scores = EventScores(
        matched=(),
        misses=(TruthEvent(1.2, "door", "line.cross", 1, "person", "left"),),
        false_alarms=(Claim(3.9, "door", "line.cross", "right", event),),
        excused=(),
    )
    count = write_mistakes(tmp_path, scores, seen, clip="a", rules=[LINE], class_names=("person",))
    missed, false = sorted(tmp_path.iterdir(), reverse=True)
    assert count == 2
    assert missed.name == "a-missed-0001.20-line.cross-door-0.jpg"
    assert false.name == "a-false-alarm-0003.90-line.cross-door-1.jpg"
    greys = [cv2.imread(str(path))[5, 150].mean() for path in (missed, false)]
    assert np.allclose(greys, (40, 160), atol=6)
    assert cv2.imread(str(missed))[45, 80].std() > 20, "the line is drawn"


def test_nothing_seen_is_nothing_written(tmp_path: Path) -> None:
    nothing = EventScores(matched=(), misses=(), false_alarms=(), excused=())
    assert write_mistakes(tmp_path / "x", nothing, [], clip="a", rules=[], class_names=()) == 0
    assert not (tmp_path / "x").exists()

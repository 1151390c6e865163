from pathlib import Path

import pytest

from vigil.accuracy.labelled_events import UnreadableLabels, read_labelled_events
from vigil.spec import LineRule, Point, ZoneRule

TEXT = """
# a hall, watched by eye
zone door person 0.1,0.2 0.4,0.2 0.4,0.9
line across 0,0.5 1,0.5
12.5 line.cross across left   # the woman in grey
maybe 3.0 zone.enter door
4 zone.exit door
until 30
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "clip.events.txt"
    path.write_text(text)
    return read_labelled_events(path)


def test_rules_and_events_are_read_and_events_are_put_in_order(tmp_path: Path) -> None:
    labels = read(tmp_path, TEXT)
    zone, line = labels.rules
    assert zone == ZoneRule(
        rule_id="door",
        classes=("person",),
        polygon=(Point(0.1, 0.2), Point(0.4, 0.2), Point(0.4, 0.9)),
    )
    assert isinstance(line, LineRule)
    told = [(e.time_s, e.type, e.rule_id, e.direction, e.required) for e in labels.events]
    assert told == [
        (3.0, "zone.enter", "door", "", False),
        (4.0, "zone.exit", "door", "", True),
        (12.5, "line.cross", "across", "left", True),
    ]
    assert labels.until_s == 30.0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("zone a 0,0 1,0", "three corners"),
        ("line a 0,0", "two points"),
        ("zone a 0,0 1,0 1,7", "fractions of the picture"),
        ("1.0 zone.enter nowhere", "called nowhere"),
        ("line b 0,0 1,1\n1.0 zone.enter b", "makes no zone.enter"),
        ("line b 0,0 1,1\n1.0 line.cross b up", "up"),
        ("line b 0,0 1,1\n1.0 object.left b", "none of"),
        ("soon zone.enter a", ""),
        ("zone a 0,0 1,0 1,1\nnan zone.enter a", "first frame"),
        ("until -1", "first frame"),
        ("nonsense", ""),
    ],
)
def test_a_line_that_says_nothing_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(UnreadableLabels, match=r"clip.events.txt:\d+") as caught:
        read(tmp_path, line)
    assert says in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"# nothing\nuntil 60\n", b"\x88\xff\x00"])
def test_a_file_that_names_nothing_to_watch_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.events.txt"
    path.write_bytes(content)
    with pytest.raises(UnreadableLabels, match=r"clip\.events\.txt"):
        read_labelled_events(path)

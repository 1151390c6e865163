"""Verdicts as a folder to learn from: a table of all, and labelled pictures where there are snapshots.

verdicts.csv     a row a verdict: what was said of which event, its class, score and box
images/          the snapshot of each event that has one, under its episode's id
labels/          YOLO text: the event's box, where it was found right; empty, where it was wrong
classes.txt      the label files' classes
manifest.csv     as training data have it; annotated_classes is empty, because nobody looked for
                 what else is in the picture
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from vigil.accuracy.detector import read_image
from vigil.errors import InvalidConfig
from vigil.training.labels import CLASSES
from vigil.v1 import events_pb2

_COLUMNS = (
    *("episode_id", "verdict", "note", "operator", "reported_at", "stream_id", "event_type"),
    *("rule_id", "occurred_at", "class", "score", "x1", "y1", "x2", "y2", "image"),
)
_MANIFEST = ("file", "source", "width", "height", "boxes", "annotated_classes", "licence", "rights")


def write_export(
    folder: Path,
    verdicts: Sequence[events_pb2.Verdict],
    *,
    picture_of: Callable[[events_pb2.Verdict], bytes | None],
) -> int:
    """Write the folder; gives how many verdicts have a picture.

    ``picture_of`` is asked for the JPEG of events that name one. Raises InvalidConfig where the folder holds
    something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidConfig(f"{folder} is not empty: name another folder")
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    pictures = 0
    with (
        (folder / "verdicts.csv").open("w", newline="", encoding="utf-8") as table,
        (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as manifest,
    ):
        rows, files = csv.writer(table), csv.writer(manifest)
        rows.writerow(_COLUMNS)
        files.writerow(_MANIFEST)
        for verdict in verdicts:
            picture = picture_of(verdict) if verdict.event.snapshot else None
            image = ""
            if picture is not None:
                image = f"{verdict.episode_id}.jpg"
                files.writerow(_write_picture(folder, verdict, picture, image))
                pictures += 1
            rows.writerow(_row(verdict, image))
    return pictures


def _write_picture(
    folder: Path, verdict: events_pb2.Verdict, jpeg: bytes, image: str
) -> tuple[object, ...]:
    """Write a picture and its label; gives its row of the manifest."""
    path = folder / "images" / image
    path.write_bytes(jpeg)
    height_px, width_px = read_image(path).shape[:2]
    label = _label(verdict)
    (folder / "labels" / image).with_suffix(".txt").write_text(label)
    boxes = int(bool(label))
    return (image, verdict.stream_id, width_px, height_px, boxes, "", "", "")


def _label(verdict: events_pb2.Verdict) -> str:
    event, name = verdict.event, getattr(verdict.event, "class")
    right = verdict.value == events_pb2.Verdict.CORRECT
    if not (right and event.HasField("bbox") and name in CLASSES):
        return ""
    box = event.bbox
    centre_x, centre_y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    numbers = (centre_x, centre_y, box.x2 - box.x1, box.y2 - box.y1)
    return " ".join((str(CLASSES.index(name)), *(f"{value:.6f}" for value in numbers))) + "\n"


def _row(verdict: events_pb2.Verdict, image: str) -> tuple[object, ...]:
    event, box = verdict.event, verdict.event.bbox
    corners = (box.x1, box.y1, box.x2, box.y2) if event.HasField("bbox") else ("",) * 4
    return (
        verdict.episode_id,
        events_pb2.Verdict.Value.Name(verdict.value).lower(),
        _cell(verdict.note),
        verdict.operator,
        verdict.reported_at.ToJsonString(),
        verdict.stream_id,
        verdict.event_type,
        event.rule_id,
        event.occurred_at.ToJsonString(),
        getattr(event, "class"),
        event.score if event.HasField("score") else "",
        *corners,
        image,
    )


def _cell(text: str) -> str:
    """Free text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

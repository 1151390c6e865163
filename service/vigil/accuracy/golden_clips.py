"""The labelled clips of a golden round: the site's own, or one that vigil renders.

A site's folder holds videos, each with its labels beside it: ``NAME.mot.txt`` (MOTChallenge) or the
``NAME.truth.json`` of a rendered film, and, if events are to be judged, ``NAME.events.txt``
(`vigil.accuracy.labelled_events`).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from vigil.accuracy.labelled_events import LabelledEvents, read_labelled_events
from vigil.accuracy.mot import read_boxes
from vigil.errors import InvalidConfig
from vigil.fleet.golden import GoldenClip
from vigil.scene.compose import SceneObject
from vigil.scene.film import read_truth, render_to_file, truth_path
from vigil.scene.moving import REVISION, Scene
from vigil.scene.truth import TruthEvent, truth_events
from vigil.spec import LineRule, Point, Rule, ZoneRule

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov")
# MOTChallenge's eighth column (MOT16, table 3); other numbers are not judged
MOT_CLASSES = {-1: "person", 1: "person", 3: "car", 4: "bicycle", 5: "motorcycle", 7: "person"}
BUILT_IN = (("people", "demo", 11), ("traffic", "street", 12))  # name, kind of scene, seed
BUILT_IN_S = 30.0
BUILT_IN_FPS = 10.0

SCENE_RULES: tuple[Rule, ...] = (
    ZoneRule(
        rule_id="lower-half",
        polygon=(Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0), Point(0.0, 1.0)),
        dwell_s=5.0,
    ),
    ZoneRule(
        rule_id="middle-zone",
        polygon=(Point(0.3, 0.4), Point(0.7, 0.4), Point(0.75, 0.8), Point(0.25, 0.8)),
        dwell_s=2.0,
    ),
    LineRule(rule_id="across", points=(Point(0.0, 0.5), Point(1.0, 0.5))),
    LineRule(rule_id="upright", points=(Point(0.5, 0.2), Point(0.5, 1.0))),
)


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """A clip's labels. Frames without an entry in ``objects`` are not judged."""

    objects: Mapping[int, Sequence[SceneObject]]  # by the frame's index, from 0
    classes: frozenset[str]  # that people, or the renderer, labelled
    rules: tuple[Rule, ...] = ()
    events: tuple[TruthEvent, ...] = ()
    until_s: float = math.inf  # so far events were labelled


def clips_in(folder: Path) -> list[GoldenClip]:
    """The labelled clips of a folder, by name.

    Raises InvalidConfig where it has none, UnreadableBoxes and UnreadableLabels where one cannot be judged.
    """
    clips = [
        _clip(path)
        for path in sorted(folder.glob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
        and (_mot_path(path).is_file() or truth_path(path).is_file())
    ]
    if not clips:
        raise InvalidConfig(
            f"{folder} holds no labelled clip: put NAME.mp4 and NAME.mot.txt there, see"
            " docs/accuracy.md"
        )
    return clips


def built_in_clips(folder: Path) -> list[GoldenClip]:
    """The clips that vigil renders itself, made now where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for name, kind, seed in BUILT_IN:
        path = folder / f"{name}-{REVISION}-{seed}-{BUILT_IN_S:g}.mp4"
        if not truth_path(path).is_file():  # written last
            scene = Scene(seed, duration_s=BUILT_IN_S, fps=BUILT_IN_FPS, kind=kind)
            render_to_file(scene, path)
        clips.append(_clip(path, name=name))
    return clips


def truth_of(clip: GoldenClip) -> ClipTruth:
    """A clip's labels."""
    path = Path(clip.video)
    if truth_path(path).is_file():
        film = read_truth(path)
        moments = film.moments()
        return ClipTruth(
            objects=dict(enumerate(film.frames)),
            classes=frozenset(thing.class_name for frame in film.frames for thing in frame),
            rules=clip.rules,
            events=tuple(truth_events(moments, clip.rules)),
        )
    objects = _read_mot(_mot_path(path), size_px=_facts(path)[:2])
    labelled = _events_of(path)
    return ClipTruth(
        objects=objects,
        classes=frozenset(thing.class_name for frame in objects.values() for thing in frame),
        rules=labelled.rules if labelled else (),
        events=labelled.events if labelled else (),
        until_s=labelled.until_s if labelled else math.inf,
    )


def _clip(path: Path, *, name: str = "") -> GoldenClip:
    width_px, _, fps, frames = _facts(path)
    if not (width_px and fps and frames):
        raise InvalidConfig(f"{path} does not open as a video, or does not say how long it is")
    labelled = _events_of(path)
    rules = labelled.rules if labelled else ()
    if truth_path(path).is_file():
        rules = SCENE_RULES
    else:
        read_boxes(_mot_path(path))  # labels that cannot be read are told before the clip is played
    return GoldenClip(
        name=name or path.stem, video=str(path.resolve()), duration_s=frames / fps, rules=rules
    )


def _mot_path(path: Path) -> Path:
    return path.with_suffix(".mot.txt")


def _events_of(path: Path) -> LabelledEvents | None:
    events = path.with_suffix(".events.txt")
    return read_labelled_events(events) if events.is_file() else None


def _facts(path: Path) -> tuple[int, int, float, int]:
    """Width, height, frames a second and frames; zeros where it does not open."""
    capture = cv2.VideoCapture(str(path))  # noqa: TID251  # a labelled file of ours, offline
    try:
        keys = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        width_px, height_px = (int(capture.get(key)) for key in keys)
        fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return width_px, height_px, float(fps), int(frames)
    finally:
        capture.release()


def _read_mot(path: Path, *, size_px: tuple[int, int]) -> dict[int, list[SceneObject]]:
    """Labelled objects by frame index from 0, those between the first and last labelled frame."""
    width_px, height_px = size_px
    frames: dict[int, list[SceneObject]] = defaultdict(list)
    for box in read_boxes(path):
        at = frames[box.frame - 1]
        name = MOT_CLASSES.get(box.kind)
        if name is None or not box.counts:
            continue
        at.append(
            SceneObject(
                object_id=box.number,
                class_name=name,
                xyxy=(
                    box.left / width_px,
                    box.top / height_px,
                    (box.left + box.width) / width_px,
                    (box.top + box.height) / height_px,
                ),
                visible=box.visible,
                in_view=1.0,
            )
        )
    return {index: frames.get(index, []) for index in range(min(frames), max(frames) + 1)}

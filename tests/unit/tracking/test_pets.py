"""The tracker and the rules on the PETS clip's true boxes, seen by a detector that errs.

Truth of events is computed here by plain geometry from the labels at their full rate, for 100 random
zones and 100 random lines inside the tracked area.
"""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tests.unit.tracking.scenes import detected
from vigil.accuracy.tracking import Identified, read_mot, score_tracks
from vigil.data import Detections
from vigil.rules import Moment, RuleSet
from vigil.spec import LineRule, Point, ZoneRule
from vigil.tracking import Tracker

VIDEO = Path(__file__).resolve().parents[4] / "shared/data/val/video"
SIZE_PX = np.array([480, 360, 480, 360])
FPS = 10
FRAMES = range(1, 398, 2)  # five a second

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def labels():
    path = VIDEO / "pets_s2l1_first397.mot.txt"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return read_mot(path)


def seen(labels, number, rng, *, miss=0.15, noise=0.04, ghosts=0.3):
    """The detections of one frame: some missed, all shaken, some of nothing."""
    boxes = labels[number].xyxy / SIZE_PX
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = boxes + rng.normal(size=boxes.shape) * noise * size
    score = rng.normal(0.75, 0.15, len(boxes)).clip(0.15, 0.99)
    kept = rng.random(len(boxes)) > miss
    ghost = rng.random((rng.poisson(ghosts), 2)) * 0.9
    ghost = np.concatenate((ghost, ghost + np.array([0.04, 0.13])), axis=1)
    boxes = np.concatenate((boxes[kept], ghost))
    score = np.concatenate((score[kept], rng.uniform(0.1, 0.6, len(ghost))))
    order = np.argsort(-score, kind="stable")
    found: Detections = detected(boxes[order].clip(0, 1), score=score[order])
    return found


def test_tracks_of_shaken_labels_at_five_frames_a_second(labels):
    rng = np.random.default_rng(0)
    tracker = Tracker()
    truth, tracks = [], []
    for number in FRAMES:
        shown = Identified.of_tracks(
            tracker.advance(seen(labels, number, rng), time_s=number / FPS)
        )
        truth.append(labels[number])
        tracks.append(Identified(shown.number, shown.xyxy * SIZE_PX))
    pytest.importorskip("trackeval")
    scores = score_tracks(truth, tracks)
    assert scores.mota > 0.80  # 15 % of the boxes are missed
    assert scores.idf1 > 0.85
    assert scores.id_switches <= 4


def in_tracked_area(feet, rng, count, made):
    """``count`` shapes by ``made`` whose points lie in the hull of all foot points."""
    hull = cv2.convexHull(feet.astype(np.float32))
    shapes = []
    while len(shapes) < count:
        points = made(rng, feet)
        if points is not None and all(
            cv2.pointPolygonTest(hull, (float(x), float(y)), measureDist=False) > 0
            for x, y in points
        ):
            shapes.append(tuple(Point(float(x), float(y)) for x, y in points))
    return shapes


def a_line(rng, feet):
    a, b = rng.uniform(feet.min(axis=0), feet.max(axis=0), (2, 2))
    return (a, b) if np.linalg.norm(a - b) > 0.2 else None


def a_zone(rng, feet):
    middle = rng.uniform(feet.min(axis=0), feet.max(axis=0))
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
    zone = middle + rng.uniform(0.08, 0.25) * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    return zone if cv2.contourArea(zone.astype(np.float32)) > 0.01 else None


def side(a, b, p):
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def what_happened(paths, rules):
    """(rule, what) to times, by the labels' own steps, without hysteresis."""
    happened = defaultdict(list)
    for rule in rules:
        for path in paths.values():
            if isinstance(rule, LineRule):
                a, b = rule.points
                for (_, p), (time_s, q) in pairwise(path):
                    before, after = side(a, b, p) >= 0, side(a, b, q) >= 0
                    if before != after and (side(p, q, a) >= 0) != (side(p, q, b) >= 0):
                        happened[rule.rule_id, "right" if after else "left"].append(time_s)
                continue
            outline = np.array(rule.polygon, np.float32)
            within = [cv2.pointPolygonTest(outline, p, measureDist=False) > 0 for _, p in path]
            for (before, now), (time_s, _) in zip(pairwise([False, *within]), path, strict=True):
                if before != now:
                    happened[rule.rule_id, "zone.enter" if now else "zone.exit"].append(time_s)
            if within[-1]:
                happened[rule.rule_id, "zone.exit"].append(path[-1][0])
    return happened


def matches(happened, claimed):
    """How many can be paired one to one within a second, by rule and kind."""
    total = 0
    for key in happened.keys() & claimed.keys():
        apart = np.abs(np.subtract.outer(happened[key], claimed[key]))
        pairs = linear_sum_assignment(np.where(apart <= 1.0, apart - 100.0, 0.0))
        total += int((apart[pairs] <= 1.0).sum())
    return total


def test_zones_and_lines_tell_what_happened(labels):
    rng = np.random.default_rng(7)
    paths = defaultdict(list)
    for number in sorted(labels):
        boxes = labels[number].xyxy / SIZE_PX
        for who, (left, _, right, bottom) in zip(labels[number].number, boxes, strict=True):
            paths[int(who)].append((number / FPS, (float(left + right) / 2, float(bottom))))
    feet = np.array([foot for path in paths.values() for _, foot in path])
    lines = in_tracked_area(feet, rng, 100, a_line)
    zones = in_tracked_area(feet, rng, 100, a_zone)
    rules = [
        *(LineRule(rule_id=f"l{n}", points=points) for n, points in enumerate(lines)),
        *(ZoneRule(rule_id=f"z{n}", polygon=points) for n, points in enumerate(zones)),
    ]
    events = []
    for part in (rules[:50], rules[50:100], rules[100:150], rules[150:]):  # 64 a stream at most
        tracker, shaken = Tracker(), np.random.default_rng(1)
        watch = RuleSet(tuple(part), stream_id="s", run=1, class_names=("person",), labels={})
        for number in FRAMES:
            now = Moment(number / FPS, number / FPS, number / FPS)
            found = seen(labels, number, shaken)
            events += watch.advance(now, tracker.advance(found, time_s=now.time_s))
        events += watch.finish(now)
    for kind, of_kind in (("line", rules[:100]), ("zone", rules[100:])):
        happened = what_happened(paths, of_kind)
        claimed = defaultdict(list)
        for event in events:
            if event.type.startswith(kind):
                what = event.attributes.get("direction", event.type)
                claimed[event.rule_id, what].append(event.occurred_at_s)
        true = matches(happened, claimed)
        assert true / sum(map(len, claimed.values())) > 0.93  # precision
        assert true / sum(map(len, happened.values())) > 0.83  # recall; truth has no hysteresis

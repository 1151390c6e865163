"""The model that vigil ships, from pixels to events, on a rendered scene whose truth is known."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import pytest

from tests.support.site import CALL_TIMEOUT_S, MARKER, Status
from tests.support.waiting import until
from vigil.accuracy.events import score_events
from vigil.scene.film import FilmTruth, render_to_file
from vigil.scene.moving import Scene
from vigil.scene.truth import truth_events
from vigil.spec import LineRule, Point, ZoneRule
from vigil.v1 import analysis_pb2, rules_pb2
from vigil.v1 import geometry_pb2 as geometry

SEED = 7  # of the test side: its figures and backdrop were never trained on
SECONDS = 30.0
FPS = 10.0
LOWER_HALF = (Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1))
MIDDLE = (Point(0, 0.5), Point(1, 0.5))
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def film(clips: Any) -> FilmTruth:
    scene = Scene(SEED, duration_s=SECONDS, width_px=640, height_px=360, fps=FPS)
    return render_to_file(scene, clips.root / "scene.mp4")


@pytest.fixture(scope="module")
def own_site(open_site: Callable[..., Any], film: FilmTruth) -> Iterator[Any]:
    del film  # rendered before the service wants the cores
    with open_site(VIGIL_MODEL__FOLDER="", VIGIL_MODEL__NAME="") as site:
        yield site


def points(of: tuple[Point, ...]) -> list[geometry.Point]:
    return [geometry.Point(x=x, y=y) for x, y in of]


def test_events_of_a_scene_are_the_true_ones(own_site: Any, clips: Any, film: FilmTruth) -> None:
    zone = rules_pb2.Rule(rule_id="lower", zone=rules_pb2.ZoneRule(polygon=points(LOWER_HALF)))
    line = rules_pb2.Rule(rule_id="middle", line=rules_pb2.LineRule(points=points(MIDDLE)))
    own_site.add(
        "scene",
        (clips.root / "scene.mp4").as_uri(),
        rules=[MARKER, zone, line],
        detect_fps=FPS,
        source_pace=2,
    )
    own_site.wait("scene", lambda stream: stream.status.reason == Status.ENDED, timeout_s=60)
    analysed = own_site.scrape().accounts()["scene"].outcomes["analysed"]
    until(lambda: sum(e.type == "marker" for e in own_site.entries("scene")) >= analysed)
    events = [entry.read().event for entry in own_site.entries("scene")]
    marks = [event for event in events if event.type == "marker"]
    assert len(marks) >= 0.9 * SECONDS * FPS  # a busy machine drops a frame now and then
    rules = (
        ZoneRule(rule_id="lower", polygon=LOWER_HALF),
        LineRule(rule_id="middle", points=MIDDLE),
    )
    truth = truth_events(film.moments(), rules)
    scores = score_events(truth, events, start_s=marks[0].occurred_at_s)
    wanted = len(scores.matched) + len(scores.misses)
    claimed = len(scores.matched) + len(scores.false_alarms)
    print(f"{len(scores.matched)} right, of {wanted} that happened and {claimed} that were told")
    assert wanted >= 10
    assert len(scores.matched) >= 0.85 * wanted
    assert len(scores.matched) >= 0.85 * claimed


def test_a_figure_in_a_picture_is_found_where_it_is(
    own_site: Any, clips: Any, film: FilmTruth
) -> None:
    index, box = largest_person(film)
    video = cv2.VideoCapture(str(clips.root / "scene.mp4"))  # noqa: TID251 - the test's own film
    video.set(cv2.CAP_PROP_POS_FRAMES, index)
    _, image = video.read()
    video.release()
    _, encoded = cv2.imencode(".jpg", image)
    request = analysis_pb2.DetectImageRequest(image=encoded.tobytes())
    answer = own_site.analysis.DetectImage(request, timeout=CALL_TIMEOUT_S).analysis
    people = [d.bbox for d in answer.detections if d.class_name == "person"]
    assert max(overlap(box, (b.x1, b.y1, b.x2, b.y2)) for b in people) > 0.5


def largest_person(film: FilmTruth) -> tuple[int, tuple[float, ...]]:
    people = [
        (index, each.xyxy)
        for index, objects in enumerate(film.frames)
        for each in objects
        if each.class_name == "person"
    ]
    return max(people, key=lambda one: (one[1][2] - one[1][0]) * (one[1][3] - one[1][1]))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)

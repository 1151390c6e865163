"""Real videos that people watched: a running service counts as they did, to one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import MARKER, Status
from tests.support.waiting import until
from vigil.accuracy.events import score_events
from vigil.accuracy.labelled_events import read_labelled_events
from vigil.api.rule_writer import rule_message
from vigil.v1 import streams_pb2
from vigil.vision.manifest import default_models_dir

VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "val" / "video"
LABELS = Path(__file__).parents[1] / "data" / "events"
CLIPS = [
    "car-detection",
    "car_traffic_small",
    pytest.param("one-by-one-person-detection", marks=pytest.mark.slow),
]
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.data,
    pytest.mark.skipif(not VIDEOS.is_dir(), reason="the labelled data is not beside the checkout"),
]


@pytest.fixture(scope="module")
def watching(open_site: Callable[..., Any]) -> Iterator[Any]:
    settings = {
        "VIGIL_MODEL__FOLDER": str(default_models_dir()),
        "VIGIL_MODEL__NAME": "vigil-det-n",
        "VIGIL_SOURCES__FILE_ROOTS": str(VIDEOS),
    }
    with open_site(**settings) as site:
        yield site


@pytest.mark.parametrize("clip", CLIPS)
def test_line_and_zone_counts_equal_the_hand_counts_to_one(watching: Any, clip: str) -> None:
    labels = read_labelled_events(LABELS / f"{clip}.events.txt")
    video = (VIDEOS / f"{clip}.mp4").as_uri()
    rules = [MARKER, *(rule_message(rule) for rule in labels.rules)]
    stream_id = clip.replace("_", "-")
    watching.add(stream_id, video, source_pace=streams_pb2.Source.FAST, rules=rules)
    ended = watching.wait_offline(stream_id, timeout_s=240)
    assert ended.status.reason == Status.ENDED
    until(
        lambda: watching.scrape().value("vigil_outbox_events") == 0,
        timeout_s=60,
        what="an empty outbox",
    )
    told = [entry.read().event for entry in watching.entries(stream_id)]
    start_s = min(event.occurred_at_s for event in told if event.type == "marker")
    scores = score_events(labels.events, told, start_s=start_s)
    for kind in {(event.type, event.rule_id) for event in labels.events}:
        by_hand = sum((e.type, e.rule_id) == kind and e.required for e in labels.events)
        counted = sum((truth.type, truth.rule_id) == kind for truth, _ in scores.matched)
        counted += sum((claim.type, claim.rule_id) == kind for claim in scores.false_alarms)
        assert abs(counted - by_hand) <= 1, (kind, counted, by_hand)

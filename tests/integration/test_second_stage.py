"""A second stage on a running service: from crops of tracks to events, filters and metrics."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.errors import refusal
from tests.support.models import SCORE
from tests.support.processes import named
from tests.support.site import Status, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.cli import main
from vigil.scene.still import render_still
from vigil.v1 import events_pb2, rules_pb2, snapshots_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Box, Point

WIDTH_PX, HEIGHT_PX, FPS = 320, 240, 10.0
EVERYWHERE = [Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
STAY = rules_pb2.Rule(rule_id="stay", zone=rules_pb2.ZoneRule(polygon=EVERYWHERE))
STAY.zone.dwell.FromSeconds(2)
BRIGHT = rules_pb2.Rule(
    rule_id="bright",
    zone=STAY.zone,
    classes=["person"],
    voted=[rules_pb2.Voted(classifier="shade", classes=["bright"])],
)
SHADE = streams_pb2.SecondStage(classifier="shade", classes=["person"])
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def two_shades(clips: Clips) -> str:
    """Six seconds of a picture that is dark on the left and bright on the right."""
    path = clips.root / "two_shades.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH_PX, HEIGHT_PX))
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 20, np.uint8)
    picture[:, WIDTH_PX // 2 :] = 235
    for _ in range(int(6 * FPS)):
        writer.write(picture)
    writer.release()
    return path.as_uri()


@pytest.fixture(scope="module")
def shade_site(open_site: Callable[..., Any]) -> Iterator[Any]:
    with open_site(VIGIL_ENGINE__CLASSIFIERS="shade") as site:
        yield site


STAGES = {
    "shades": [SHADE],
    "of-cars": [streams_pb2.SecondStage(classifier="shade", classes=["car"])],  # there are none
    "without": [],
}


@pytest.fixture(scope="module")
def played(shade_site: Any, two_shades: str) -> dict[str, list[Any]]:
    """The events of the same clip, played to its end with and without second stages."""
    for stream_id, stages in STAGES.items():
        shade_site.add(stream_id, two_shades, rules=[STAY], detect_fps=FPS, second_stages=stages)
    shade_site.add("by-rule", two_shades, rules=[STAY, BRIGHT], detect_fps=FPS)
    stream_ids = (*STAGES, "by-rule")
    for stream_id in stream_ids:
        shade_site.wait(stream_id, lambda s: s.status.reason == Status.ENDED, timeout_s=60)
    return {stream_id: shade_site.listed(stream_id) for stream_id in stream_ids}


def test_tracks_are_voted_over_and_events_say_so(played: dict[str, list[Any]]) -> None:
    dwells = [event for event in played["shades"] if event.type == "zone.dwell"]
    assert len(dwells) >= 6
    for event in dwells:
        middle = (event.bbox.x1 + event.bbox.x2) / 2
        said = event.attributes["shade"]
        if abs(middle - 0.5) > 0.15:
            assert said["class"] == ("dark" if middle < 0.5 else "bright")
            assert said["probability"] > 0.6
        assert 1 <= said["crops"] <= event.attributes["duration_s"] + 1, "at most one a second"
    enters = [event for event in played["shades"] if event.type == "zone.enter"]
    assert enters
    assert not any("shade" in event.attributes for event in enters), "nothing was known yet"


def test_events_are_chosen_by_what_their_object_is(
    shade_site: Any, played: dict[str, list[Any]]
) -> None:
    def count(**attributes: str) -> int:
        which = {"types": ["zone.dwell"], "classes": ["person"], "attributes": attributes}
        return len(shade_site.listed("shades", **which))

    dark, bright = count(shade="dark"), count(**{"shade.class": "bright"})
    assert dark >= 2
    assert bright >= 2
    assert dark + bright == sum(event.type == "zone.dwell" for event in played["shades"])
    assert count(shade="pink") == 0


def test_what_is_in_redis_says_so_too(shade_site: Any, played: dict[str, list[Any]]) -> None:
    listed = len(played["shades"])
    entries = until(lambda: (e := shade_site.entries("shades")) and len(e) == listed and e)
    read = [entry.read().event for entry in entries]
    said = [event.attributes["shade"] for event in read if event.type == "zone.dwell"]
    assert {one["class"] for one in said} == {"dark", "bright"}  # type: ignore[index,call-overload]


def test_only_tracks_that_a_stage_is_about_are_classified(played: dict[str, list[Any]]) -> None:
    for stream_id in ("of-cars", "without"):
        assert any(event.type == "zone.dwell" for event in played[stream_id])
        assert not any("shade" in event.attributes for event in played[stream_id])


def test_a_rule_that_names_a_classifier_is_about_what_it_votes_for(
    played: dict[str, list[Any]],
) -> None:
    told = [event for event in played["by-rule"] if event.rule_id == "bright"]
    tracks = {event.track_id for event in told}
    others = {event.track_id for event in played["by-rule"] if event.rule_id == "stay"} - tracks
    assert len(tracks) >= 2
    assert len(others) >= 2, "those that were voted dark"
    assert all(
        event.attributes["shade"]["class"] == "bright"
        for event in told
        if event.type == "zone.enter"
    )


def test_crops_are_counted_and_timed(shade_site: Any, played: dict[str, list[Any]]) -> None:
    del played
    samples = shade_site.scrape()
    labels = {"stream_id": "shades", "classifier": "shade"}
    dark = samples.value("vigil_tracks_classified_total", **labels, **{"class": "dark"})
    bright = samples.value("vigil_tracks_classified_total", **labels, **{"class": "bright"})
    assert dark >= 2
    assert bright >= 2
    assert samples.total("vigil_tracks_classified_total", stream_id="of-cars") == 0
    crops = samples.value("vigil_crops_total", outcome="classified")
    assert crops >= dark + bright
    assert samples.value("vigil_crops_total", outcome="dropped_error") == 0
    for stage in ("classify", "crop_wait"):
        assert samples.value("vigil_stage_seconds_count", stage=stage) == crops
    assert samples.value("vigil_stage_seconds_count", stage="crop") >= crops


def test_a_second_stage_may_come_and_go_on_a_running_stream(
    shade_site: Any, two_shades: str
) -> None:
    shade_site.add("changed", two_shades, rules=[STAY], detect_fps=FPS, source_loop=True)
    run = shade_site.wait_online("changed", timeout_s=60).status.run
    shade_site.update("changed", "second_stages", second_stages=[SHADE])
    where = events_pb2.EventFilter(stream_ids=["changed"], attributes={"shade": "bright"})
    call = shade_site.events.WatchEvents(events_pb2.WatchEventsRequest(filter=where), timeout=60)
    assert next(call).event.run >= run
    call.cancel()
    shade_site.update("changed", "second_stages", second_stages=[])
    assert not shade_site.get("changed").spec.second_stages
    shade_site.remove("changed")


def test_a_classifier_that_is_not_loaded_is_refused(shade_site: Any, two_shades: str) -> None:
    wrong = streams_pb2.SecondStage(classifier="vigil-vehicle-type")
    request = streams_pb2.AddStreamRequest(
        spec=spec_of("wrong", two_shades, second_stages=[SHADE, wrong])
    )
    code, message, fields = refusal(lambda: shade_site.streams.AddStream(request, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "spec.second_stages[1].classifier" in str(fields)
    assert "loaded: shade" in message or "loaded: shade" in str(fields)


def test_the_command_line_adds_one_and_chooses_by_it(shade_site: Any, two_shades: str) -> None:
    address = ("--address", shade_site.vigil.addresses.grpc)
    added = CliRunner().invoke(
        main,
        ("stream", "add", "typed", two_shades, "--second-stage", "shade:person", "--zone",
         "stay:0,0;1,0;1,1;0,1", "--dwell", "2", "--loop", *address),
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    tail = ("events", "tail", "--json", "--limit", "1", "--class", "person", *address)
    told = CliRunner().invoke(main, (*tail, "--stream", "typed", "--attribute", "shade=bright"))
    assert told.exit_code == 0, told.output
    assert '"shade":{' in told.output
    assert '"class":"bright"' in told.output
    shade_site.remove("typed")
    wrong = CliRunner().invoke(main, (*tail, "--attribute", "shade"))
    assert wrong.exit_code == 2
    assert "NAME=VALUE" in wrong.output


def test_an_engine_that_is_killed_costs_labels_nothing(shade_site: Any, two_shades: str) -> None:
    shade_site.add(
        "killed", two_shades, rules=[STAY], detect_fps=FPS, second_stages=[SHADE], source_loop=True
    )

    def labelled(cursor: str = "") -> Any:
        where = events_pb2.EventFilter(stream_ids=["killed"], attributes={"shade": "dark"})
        request = events_pb2.WatchEventsRequest(filter=where, cursor=cursor)
        call = shade_site.events.WatchEvents(request, timeout=60)
        answer = next(call)
        call.cancel()
        return answer

    first = labelled()
    (engine,) = named(shade_site.vigil.pid, "vigil.engine")
    os.kill(engine, signal.SIGKILL)
    shade_site.wait_online("killed", timeout_s=60)
    assert labelled(first.cursor).event.event_seq > first.event.event_seq
    shade_site.remove("killed")


def test_a_detection_and_a_class_are_explained(shade_site: Any, two_shades: str) -> None:
    shade_site.add("why", two_shades, detect_fps=FPS, source_loop=True)
    shade_site.wait_online("why", timeout_s=60)

    def explain(**fields: Any) -> tuple[Any, Any]:
        request = snapshots_pb2.ExplainDetectionRequest(stream_id="why", **fields)
        answer = shade_site.snapshots.ExplainDetection(request, timeout=60)
        return answer, cv2.imdecode(np.frombuffer(answer.jpeg, np.uint8), cv2.IMREAD_COLOR)

    answer, picture = explain()
    assert answer.class_name == "person"
    assert answer.score == pytest.approx(SCORE, abs=0.01)
    assert picture.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert explain(class_name="dog")[0].class_name == "dog"

    request = snapshots_pb2.GetSnapshotRequest(stream_id="why")
    found = shade_site.snapshots.GetSnapshot(request, timeout=60).detections
    track_id = next(one.track_id for one in found if one.track_id)
    assert explain(track_id=track_id)[0].score == pytest.approx(SCORE, abs=0.01)

    bright, picture = explain(bbox=Box(x1=0.6, y1=0.4, x2=0.8, y2=0.8), classifier="shade")
    assert bright.class_name == "bright"
    heated = np.abs(picture.astype(int) - 235).max(axis=2)
    assert heated[100:180, 200:250].mean() > 30, "the box is hot"
    assert heated[150:, 275:].max() < 30, "and what is beside it is not"

    for fields, code, said in (
        ({"class_name": "cat"}, grpc.StatusCode.INVALID_ARGUMENT, "person, car, dog"),
        ({"classifier": "van"}, grpc.StatusCode.INVALID_ARGUMENT, "loaded: shade"),
        ({"track_id": 4711}, grpc.StatusCode.FAILED_PRECONDITION, "track 4711"),
        ({"stream_id": "nobody"}, grpc.StatusCode.NOT_FOUND, "nobody"),
    ):
        wrong = snapshots_pb2.ExplainDetectionRequest(**{"stream_id": "why", **fields})
        refused, message, _ = refusal(
            lambda wrong=wrong: shade_site.snapshots.ExplainDetection(wrong, timeout=60)  # type: ignore[misc]
        )
        assert refused is code
        assert said in message
    shade_site.remove("why")


def test_the_command_line_explains_a_picture_and_a_stream(
    shade_site: Any, two_shades: str, tmp_path: Path
) -> None:
    shade_site.add("told", two_shades, detect_fps=FPS, source_loop=True)
    shade_site.wait_online("told", timeout_s=60)
    output = tmp_path / "why.jpg"
    address = ("--address", shade_site.vigil.addresses.grpc)
    told = CliRunner().invoke(
        main, ("explain", "--stream", "told", "--output", str(output), *address)
    )
    assert told.exit_code == 0, told.output
    assert told.output.startswith("person 0.88")
    shade_site.remove("told")

    cv2.imwrite(str(tmp_path / "street.png"), render_still(43, width_px=640, height_px=360).image)
    picture = ("explain", str(tmp_path / "street.png"), "--output", str(tmp_path / "why.png"))
    told = CliRunner().invoke(main, (*picture, "--class", "person", "--json"))
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["class"] == "person"
    drawn = cv2.imread(str(tmp_path / "why.png"))
    assert drawn.shape == (360, 640, 3)
    for wrong, said in (
        ((*picture, "--class", "unicorn"), "it knows person"),
        ((*picture, "--track", "1"), "goes with --stream"),
        ((*picture, "--box", "0.5,0.5,0.4,0.6"), "X1 < X2"),
        (("explain", "--output", "x.jpg"), "one of them"),
    ):
        refused = CliRunner().invoke(main, wrong)
        assert refused.exit_code in (1, 2)
        assert said in refused.output

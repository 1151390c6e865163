"""Pictures of events of a running service: taken, kept, shown, exported; and lost without their events."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.errors import refusal
from tests.support.site import CALL_TIMEOUT_S
from tests.support.videos import FPS, Clips
from tests.support.waiting import until
from vigil.cli import main
from vigil.v1 import events_pb2, rules_pb2, snapshots_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Point, Polygon

SEEN = rules_pb2.Rule(rule_id="seen", track=rules_pb2.TrackRule())
EVERY = streams_pb2.EventSnapshots(enabled=True)
LEFT = Polygon(points=[Point(x=x, y=y) for x, y in ((0, 0), (0.5, 0), (0.5, 1), (0, 1))])
MOST_PX = 160
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def keeping(open_site: Callable[..., Any]) -> Iterator[Any]:
    settings = {"VIGIL_SNAPSHOTS__ENABLED": "true", "VIGIL_SNAPSHOTS__MAX_WIDTH_PX": str(MOST_PX)}
    with open_site(**settings) as site:
        yield site


def first_events(site: Any, stream_id: str, uri: str, **fields: Any) -> list[Any]:
    """The new tracks of a clip's first frame with tracks."""
    fields = {"rules": [SEEN], "detect_fps": FPS, "event_snapshots": EVERY, **fields}
    with site.watching(stream_id, types=["track"]) as answers:
        site.add(stream_id, uri, source_loop=True, **fields)
        return [next(answers).event for _ in range(3)]


def picture_of(site: Any, event: Any) -> Any:
    """The stored picture, (H, W, 3) uint8 BGR, as soon as it is there: no event waits for it."""
    request = snapshots_pb2.GetEventSnapshotRequest(episode_id=event.episode_id)

    def ask() -> Any:
        try:
            return site.snapshots.GetEventSnapshot(request, timeout=CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    answer = until(ask, what="the picture")
    assert answer.event.event_id == event.event_id
    return cv2.imdecode(np.frombuffer(answer.jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_service_that_keeps_none_says_how_to_change_that(site: Any, clips: Clips) -> None:
    code, message, _ = refusal(
        lambda: site.add("gate", clips.short.as_uri(), rules=[SEEN], event_snapshots=EVERY)
    )
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "snapshots.enabled" in message


def test_an_event_has_its_picture_through_everything(
    keeping: Any, clips: Clips, tmp_path: Path
) -> None:
    site = keeping
    lost = site.scrape().total("vigil_snapshots_dropped_total")
    (event, *others) = first_events(site, "gate", clips.short.as_uri(), privacy_masks=[LEFT])
    assert event.snapshot.startswith("gate/")
    assert {other.snapshot for other in others} == {event.snapshot}, "one picture a frame"
    picture = picture_of(site, event)
    assert picture.shape[1] == MOST_PX
    assert picture[:, : MOST_PX // 2 - 8].max() < 24, "masked"
    assert picture[:, MOST_PX // 2 + 8 :].max() > 60
    path = site.folder / "state" / "snapshots" / event.snapshot
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    until(
        lambda: event.snapshot in {entry.read().event.snapshot for entry in site.entries("gate")},
        what="its name in Redis",
    )
    samples = site.scrape()
    assert samples.total("vigil_snapshots_stored_total") >= 1
    assert samples.value("vigil_snapshots_bytes") >= path.stat().st_size
    assert samples.total("vigil_snapshots_dropped_total") == lost

    report = events_pb2.ReportVerdictRequest(
        verdict=events_pb2.Verdict(episode_id=event.episode_id, value=events_pb2.Verdict.CORRECT)
    )
    site.events.ReportVerdict(report, timeout=CALL_TIMEOUT_S)
    output = tmp_path / "judged"
    where = ["--address", site.vigil.addresses.grpc, "--output", str(output)]
    done = CliRunner().invoke(main, ["verdicts", "export", *where])
    assert (done.exit_code, "1 with a picture" in done.stderr) == (0, True), done.output
    assert (output / "images" / f"{event.episode_id}.jpg").read_bytes() == path.read_bytes()
    assert (output / "labels" / f"{event.episode_id}.txt").read_text().startswith("0 ")

    site.vigil.stop()
    site.start()
    assert picture_of(site, event).shape == picture.shape, "the next service has it, too"
    site.remove("gate")


def test_where_pictures_cannot_be_stored_the_events_come_all_the_same(
    keeping: Any, clips: Clips
) -> None:
    site = keeping
    (site.folder / "state" / "snapshots" / "yard").write_text("a file where a folder has to be")
    (event, *_) = first_events(site, "yard", clips.short.as_uri())
    assert event.snapshot, "nobody knows yet that it will be lost"
    until(
        lambda: site.scrape().value("vigil_snapshots_dropped_total", reason="storage"),
        what="the loss",
    )
    request = snapshots_pb2.GetEventSnapshotRequest(episode_id=event.episode_id)
    code, message, _ = refusal(
        lambda: site.snapshots.GetEventSnapshot(request, timeout=CALL_TIMEOUT_S)
    )
    assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND), message
    assert "snapshots_lost" in site.log()
    site.remove("yard")


def test_a_definition_tells_what_it_asks_for_and_can_be_changed(keeping: Any, clips: Clips) -> None:
    site = keeping
    asked = streams_pb2.EventSnapshots(enabled=True, rule_ids=["seen"])
    site.add("lane", clips.short.as_uri(), rules=[SEEN], event_snapshots=asked, enabled=False)
    assert site.get("lane").spec.event_snapshots == asked
    code, _, named = refusal(
        lambda: site.update(
            "lane",
            "event_snapshots",
            event_snapshots=streams_pb2.EventSnapshots(enabled=True, rule_ids=["other"]),
        )
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "spec.event_snapshots.rule_ids[0]" in str(named)
    site.update("lane", "event_snapshots")
    assert not site.get("lane").spec.HasField("event_snapshots")
    site.remove("lane")

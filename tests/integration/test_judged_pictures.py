"""Rules that look at pictures or at their own history, in a whole service."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from tests.support.site import MARKER
from tests.support.videos import HEIGHT_PX, WIDTH_PX, Clips
from tests.support.waiting import until
from vigil.data import Event
from vigil.fleet.baselines import learnt_limits
from vigil.spec import StreamSpec
from vigil.store.database import FILE_NAME
from vigil.v1 import rules_pb2, streams_pb2

pytestmark = pytest.mark.timeout(120)


def told(site: Any, stream_id: str) -> list[Event]:
    """A stream's events in Redis, but for markers."""
    return [entry.read().event for entry in site.entries(stream_id) if entry.type != "marker"]


def types(site: Any, stream_id: str) -> list[tuple[str, str]]:
    """Their types and phases."""
    return [(event.type, event.phase) for event in told(site, stream_id)]


def test_a_covered_camera_is_told_through_the_whole_service(site: Any, clips: Clips) -> None:
    clip = clips.root / "covered.mp4"
    writer = cv2.VideoWriter(
        str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (WIDTH_PX, HEIGHT_PX)
    )
    for _ in range(100):
        writer.write(np.full((HEIGHT_PX, WIDTH_PX, 3), 120, np.uint8))
    writer.release()
    health = rules_pb2.CameraHealthRule()
    health.duration.FromSeconds(1)
    absence = rules_pb2.AbsenceRule()
    absence.duration.FromSeconds(2)
    rules = [
        rules_pb2.Rule(rule_id="camera", camera_health=health),
        rules_pb2.Rule(rule_id="nobody", absence=absence),
        MARKER,
    ]
    site.add("covered", clip.as_uri(), rules=rules)

    def lasting() -> float:
        about = {"stream_id": "covered", "type": "camera.covered"}
        return site.scrape().value("vigil_stream_episodes", **about)

    until(lasting, timeout_s=60, what="a fault that Prometheus sees")
    until(lambda: ("camera.covered", "end") in types(site, "covered"), timeout_s=60)
    assert types(site, "covered") == [("camera.covered", "new"), ("camera.covered", "end")]
    assert not lasting()
    first = told(site, "covered")[0]
    assert (first.rule_id, first.track_id) == (None, None)


def test_limits_that_were_learnt_are_known_after_a_restart(open_site: Any, clips: Clips) -> None:
    room = rules_pb2.OccupancyRule(below=rules_pb2.Threshold(learnt=rules_pb2.LearntThreshold()))
    asked = streams_pb2.GetBaselineRequest(stream_id="room", rule_id="few")
    with open_site() as site:
        rules = [rules_pb2.Rule(rule_id="few", occupancy=room)]
        site.add("room", clips.long.as_uri(), rules=rules, source_loop=True)
        assert not site.streams.GetBaseline(asked).warm
        site.wait_online("room")
        site.vigil.stop()
        assert types(site, "room") == []  # nothing is usual yet
        remember(site.folder / "state", weeks=2, value=50.0)
        site.start()
        learnt = site.streams.GetBaseline(asked)
        assert (learnt.warm, learnt.edge, learnt.hours[7].usual) == (True, "below", 50.0)
        until(lambda: ("occupancy.below", "new") in types(site, "room"), timeout_s=60)
        assert told(site, "room")[0].attributes["limit"] == 48.0


def remember(state: Path, *, weeks: int, value: float) -> None:
    """Write a history as if the stopped service had seen ``value`` for weeks."""
    with closing(sqlite3.connect(state / FILE_NAME)) as connection, connection:
        (encoded,) = connection.execute("SELECT spec FROM stream").fetchone()
        ((key, _),) = learnt_limits(msgspec.json.decode(encoded, type=StreamSpec))
        now = int(time.time() // 3600)
        blob = np.full(12, value, "<f4").tobytes()
        connection.executemany(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
            [(*key, hour, blob) for hour in range(now - weeks * 168, now)],
        )

"""Commits that are late: whoever sees that a stream is over finds all its events in the log."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.http_camera import mjpeg_camera
from tests.support.site import MARKER, Site, Status
from tests.support.videos import Clips
from tests.support.waiting import until

FIELDS = {"rules": [MARKER], "detect_fps": 25}


def expect_all(site: Site, stream_id: str) -> None:
    """One marker an analysed frame is in the log, now."""
    listed = [event.event_seq for event in site.listed(stream_id)]
    analysed = site.scrape().accounts()[stream_id].outcomes["analysed"]
    assert listed == list(range(1, analysed + 1)), (
        f"events are missing: {len(listed)} of {analysed} of {stream_id} are in the log"
    )


@pytest.mark.planted("vigil.fleet.endings:KEPT_S = 0.0", caught="events are missing")
@pytest.mark.timeout(180)
def test_a_stream_that_is_over_has_all_its_events_in_the_log(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    inject("vigil.events.outbox:SPACING_S = 1.5")
    with open_site() as site:
        site.add("played", clips.short.as_uri(), source_pace=2, **FIELDS)
        ended = site.wait_offline("played", timeout_s=60).status
        expect_all(site, "played")
        assert (ended.reason, "not on disk" in ended.detail) == (Status.ENDED, False)

        with mjpeg_camera() as camera:
            site.add("lost", f"{camera.url}/video", **FIELDS)
            site.wait_marks("lost", 5)
        site.wait_offline("lost")
        expect_all(site, "lost")

        for stream_id in ("disabled", "removed"):
            site.add(stream_id, clips.long.as_uri(), source_loop=True, **FIELDS)
            site.wait_marks(stream_id, 5)
        site.update("disabled", "enabled", enabled=False)
        expect_all(site, "disabled")
        site.remove("removed")
        listed = {event.event_id for event in site.listed("removed")}
        assert site.vigil.stop() == 0
        assert listed == {entry.event_id for entry in site.entries("removed")}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_commits_that_do_not_come_hide_no_end(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    """The state says so; what waits is not lost by that."""
    inject("vigil.events.outbox:SPACING_S = 20.0")
    with open_site() as site:
        site.add("played", clips.short.as_uri(), source_pace=2, **FIELDS)
        ended = site.wait_offline("played", timeout_s=60).status
        assert ended.reason == Status.ENDED
        assert ended.detail.endswith("its last events were not on disk after 5 s")
        analysed = site.scrape().accounts()["played"].outcomes["analysed"]
        assert len(site.listed("played")) < analysed
        until(lambda: len(site.listed("played")) == analysed, timeout_s=60, what="the last events")

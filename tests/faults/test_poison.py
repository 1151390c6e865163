"""A camera that takes its process down with it, a process that cannot live at all."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import videos
from tests.support.processes import children
from tests.support.site import MARKER, Status, is_online
from tests.support.videos import Clips
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
BACK_S = 10.0  # 5 s on a machine that does nothing else
POISON_PX = 64  # the width by which the faults know the poison stream
IF_POISON = f"if self.width_px == {POISON_PX} else original(self)"
CRASHES = (
    "vigil.host.capture:OpenCvCapture.grab = "
    f"lambda self: __import__('ctypes').string_at(0) {IF_POISON}"
)
HANGS = (
    "vigil.host.capture:OpenCvCapture.grab = "
    f"lambda self: __import__('threading').Event().wait() {IF_POISON}"
)
FAILS_ON_BLACK = (
    "vigil.engine.runner:Runner.infer = lambda self, pictures: original(self, pictures)"
    " if all(picture[32, 48].any() for picture in pictures) else torch.empty(-1)"
)
SOON = "vigil.fleet.quarantine:FIRST_WAIT_S = 3.0"
IMPATIENT = "vigil.host.library_calls:SLACK_S = 1.0"


def is_quarantined(stream: Any) -> bool:
    return bool(
        stream.status.state == Status.OFFLINE and stream.status.reason == Status.QUARANTINED
    )


def is_failed_by_the_model(stream: Any) -> bool:
    return bool(
        stream.status.state == Status.DEGRADED and stream.status.reason == Status.QUARANTINED
    )


@pytest.mark.planted(
    "vigil.fleet.quarantine:Quarantine.blame = lambda self, stream_id: None",
    caught="poison was not as wanted",
)
@pytest.mark.parametrize("fault", [CRASHES, HANGS], ids=["crash", "hang"])
def test_a_stream_that_ends_its_process_twice_is_alone_from_then_on(
    open_site: Callable[..., Any],
    clips: Clips,
    inject: Callable[..., None],
    fault: str,
) -> None:
    inject(fault, SOON, IMPATIENT)
    poison = videos.write_mjpeg(clips.root / "poison.avi", width_px=POISON_PX, height_px=64)
    neighbours = ["a", "b", "c"]
    settings = {"VIGIL_CAPTURE__OPEN_TIMEOUT_S": "1", "VIGIL_CAPTURE__READ_TIMEOUT_S": "1"}
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="4", **settings) as site:
        for stream_id in neighbours:
            site.add(stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True)
        for stream_id in neighbours:
            site.wait_online(stream_id)
        added_s = time.monotonic()
        site.add("poison", poison.as_uri(), source_loop=True)
        status = site.wait("poison", is_quarantined, timeout_s=60).status
        print(f"quarantined {time.monotonic() - added_s:.1f} s after it was added")
        assert "2 times" in status.detail
        assert status.HasField("next_retry")

        alone_s = time.monotonic()
        for stream_id in neighbours:
            site.wait(stream_id, is_online)
            site.wait_marks(stream_id, 1)
        print(f"its neighbours analysed again after {time.monotonic() - alone_s:.1f} s")
        runs = {stream_id: site.get(stream_id).status.run for stream_id in neighbours}
        site.wait(
            "poison", lambda s: is_quarantined(s) and "3 times" in s.status.detail, timeout_s=60
        )
        assert {each: site.get(each).status.run for each in neighbours} == runs, "not alone"
        assert all(account.balances for account in site.scrape().accounts().values())

        site.update("poison", "source", source_uri=clips.short.as_uri(), source_loop=True)
        site.wait_online("poison")  # another source is another chance
        site.remove("poison")
        assert {each: site.get(each).status.run for each in neighbours} == runs
        assert site.fetch_ready()


@pytest.mark.planted(
    "vigil.host.camera:Camera.note_model = lambda self, *, fails: None",
    caught="dark was not as wanted",
)
def test_a_stream_that_the_model_fails_on_says_so_and_its_neighbour_does_not_notice(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    inject(FAILS_ON_BLACK)
    black = videos.write_folder(clips.root / "black", pictures=10, black=True)
    with open_site() as site:
        site.add("neighbour", clips.long.as_uri(), rules=[MARKER], source_loop=True)
        site.add("dark", f"folder:{black}", source_loop=True, source_folder_fps=10)
        status = site.wait("dark", is_failed_by_the_model, timeout_s=60).status
        print(f"DEGRADED, QUARANTINED: {status.detail}")
        site.wait_marks("neighbour", 5)
        assert site.get("neighbour").status.run == 1
        assert site.get("neighbour").status.reason == Status.REASON_UNSPECIFIED
        site.update("dark", "source", source_uri=clips.long.as_uri(), source_loop=True)
        site.wait(
            "dark",
            lambda s: is_online(s) and s.status.reason == Status.REASON_UNSPECIFIED,
            timeout_s=30,
        )
        assert all(account.balances for account in site.scrape().accounts().values())


@pytest.mark.planted(
    "vigil.fleet.restart:RestartDelay.next_s = lambda self: 0.0",
    caught="readiness that is taken back|again and again",
)
def test_a_process_that_cannot_live_is_started_rarely_and_health_says_so(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    marker = clips.root / "storm"
    inject(
        f"vigil.host.app:Host.run = lambda self: original(self) "
        f"if not __import__('pathlib').Path({str(marker)!r}).exists() else __import__('os')._exit(3)"
    )
    with open_site() as site:
        site.add("a", clips.long.as_uri(), source_loop=True)
        site.wait_online("a")
        marker.touch()
        seen: set[int] = set()
        service = site.vigil.pid

        def is_reported() -> bool:
            seen.update(pid for pid, name in children(service).items() if name == "vigil.host")
            return not site.fetch_ready()

        began_s = time.monotonic()
        (first,) = [pid for pid, name in children(service).items() if name == "vigil.host"]
        os.kill(first, signal.SIGKILL)
        until(is_reported, timeout_s=40, what="readiness that is taken back")
        took_s = time.monotonic() - began_s
        started = site.scrape().value("vigil_process_restarts_total", process="host", reason="died")
        until(
            lambda: "restart_storm" in site.log(), timeout_s=10, what="the log's word on the storm"
        )
        deadline_s = time.monotonic() + 6.0
        until(lambda: time.monotonic() > deadline_s, timeout_s=10, what="six seconds")
        more = (
            site.scrape().value("vigil_process_restarts_total", process="host", reason="died")
            - started
        )
        print(f"reported after {took_s:.1f} s and {started:.0f} deaths, {more:.0f} in 6 s more")
        assert more <= 3, "started again and again"
        marker.unlink()
        until(site.fetch_ready, timeout_s=90, what="readiness after the storm")
        site.wait_online("a", timeout_s=30)

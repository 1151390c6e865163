"""SIGTERM whatever the service is doing: it ends in time, with status 0, and the outbox is safe."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import videos
from tests.support.delivery import check_delivery
from tests.support.processes import alive, children, named
from tests.support.site import MARKER
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2

GRACE_S = 5.0  # grpc.grace_s
SLACK_S = 2.0  # that the promise allows beyond it
STREAMS = [f"camera-{number}" for number in range(4)]


@contextlib.contextmanager
def standing_still(pids: Iterable[int]) -> Iterator[None]:
    """Processes that do nothing, until they are killed or the context ends."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.planted(
    "vigil.events.publisher:Publisher.flush = lambda self, timeout_s: asyncio.sleep(60)",
    caught="ended in time",
)
@pytest.mark.timeout(180)
def test_sigterm_under_load_ends_in_time_and_loses_nothing(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    """Four streams, a picture that waits for an engine that stands still, and Redis that hangs."""
    with open_site() as site:
        for stream_id in STREAMS:
            site.add(
                stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=25
            )
        site.wait_marks(STREAMS[-1], 5)
        site.redis.pause()
        processes = list(children(site.vigil.pid))
        with standing_still(processes):
            request = analysis_pb2.DetectImageRequest(image=videos.jpeg())
            call = site.analysis.DetectImage.future(request)
            assert not call.done()
            started_s = time.monotonic()
            status = site.vigil.stop()
            took_s = time.monotonic() - started_s
        site.redis.resume()
        assert took_s < GRACE_S + SLACK_S, f"not ended in time: {took_s:.1f} s"
        assert status == 0
        assert not any(map(alive, processes))
        site.start()
        until(lambda: not site.scrape().total("vigil_outbox_events"), what="an empty outbox")
        assert site.vigil.stop() == 0
        delivery = check_delivery(site.vigil.state, site.entries())
        print(f"ended after {took_s:.1f} s; events lost: 0 of {delivery.events}")


@pytest.mark.slow
@pytest.mark.planted(
    "vigil.fleet.engine:EngineKeeper.stop = lambda self, grace_s: self._child.stop(3600.0)",
    caught="ended in time",
)
@pytest.mark.timeout(180)
def test_sigterm_while_the_model_is_loaded_ends_in_time(models: Path, tmp_path: Path) -> None:
    """The engine stands still from its beginning: its model takes for ever."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vigil.cli", "serve"],
        env={
            **os.environ,
            "VIGIL_STATE__PATH": str(tmp_path / "state"),
            "VIGIL_REDIS__URL": "unix:///nowhere.sock",  # Redis is away, too
            "VIGIL_MODEL__FOLDER": str(models),
            "VIGIL_MODEL__NAME": "grid",
            "VIGIL_GRPC__ADDRESS": "127.0.0.1:0",
            "VIGIL_HTTP__ADDRESS": "127.0.0.1:0",
        },
    )
    try:
        (engine,) = until(
            lambda: named(process.pid, "vigil.engine"), timeout_s=60, what="an engine"
        )
        with standing_still([engine]):
            process.terminate()
            started_s = time.monotonic()
            try:
                process.wait(GRACE_S + SLACK_S)
            except subprocess.TimeoutExpired:
                raise AssertionError("not ended in time") from None
        print(f"ended after {time.monotonic() - started_s:.1f} s")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.planted(
    "vigil.app:_stop_or_exit = lambda stop: stop.set()", caught="waits though it was told twice"
)
@pytest.mark.timeout(180)
def test_a_second_sigterm_ends_it_at_once_and_loses_nothing(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        site.add("camera-0", clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=25)
        site.wait_marks("camera-0", 5)
        site.redis.pause()
        processes = list(children(site.vigil.pid))
        with standing_still(processes):  # so that the first signal takes the whole grace
            os.kill(site.vigil.pid, signal.SIGTERM)
            until(lambda: "stopping" in site.log(), what="the first signal's effect")
            started_s = time.monotonic()
            site.vigil.stop()
            took_s = time.monotonic() - started_s
        site.redis.resume()
        assert took_s < GRACE_S - SLACK_S, f"it waits though it was told twice: {took_s:.1f} s"
        until(lambda: not any(map(alive, processes)), what="the end of its children")
        site.start()
        until(lambda: not site.scrape().total("vigil_outbox_events"), what="an empty outbox")
        assert site.vigil.stop() == 0
        delivery = check_delivery(site.vigil.state, site.entries())
        print(f"ended after {took_s:.1f} s; events lost: 0 of {delivery.events}")

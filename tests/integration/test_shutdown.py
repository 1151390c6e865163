"""The service ends in order, within its grace, whatever it is doing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support import videos
from tests.support.processes import alive, children, named
from tests.support.site import MARKER, Status
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.app import ADDRESSES_FILE
from vigil.v1 import analysis_pb2

pytestmark = pytest.mark.timeout(120)
GRACE_S = 5.0  # grpc.grace_s
SLACK_S = 10.0  # for a machine that has more to do; 2 s suffice one that has not
LONG_GRACE_S = 25.0
LONG_GRACE = {"VIGIL_GRPC__GRACE_S": str(LONG_GRACE_S)}  # what need not wait for it does not


def test_it_ends_in_order_under_load(open_site: Callable[..., Any], clips: Clips) -> None:
    with open_site() as site:
        for index in range(4):
            site.add(
                f"s{index}", clips.long.as_uri(), detect_fps=25, source_loop=True, rules=[MARKER]
            )
        site.wait_marks("s3", 10)
        processes = list(children(site.vigil.pid))
        with site.watching(timeout_s=60):
            started_s = time.monotonic()
            status = site.vigil.stop()
        took_s = time.monotonic() - started_s
        print(f"ended after {took_s:.2f} s")
        assert status == 0
        assert took_s < GRACE_S + SLACK_S
        assert not any(map(alive, processes))
        for index in range(4):
            entries = [entry.read() for entry in site.entries(f"s{index}")]
            assert [entry.event_seq for entry in entries] == list(range(1, len(entries) + 1))
        assert "Traceback" not in site.log()

        site.start()  # what was stopped in order is there again
        for index in range(4):
            assert site.wait_online(f"s{index}").status.run == 2


def test_a_camera_that_does_not_answer_holds_nothing_up(open_site: Callable[..., Any]) -> None:
    with (
        silent_camera() as uri,
        open_site(VIGIL_CAPTURE__OPEN_TIMEOUT_S="30", **LONG_GRACE) as site,
    ):
        site.add("mute", uri)
        site.wait("mute", lambda stream: stream.status.state == Status.CONNECTING)
        started_s = time.monotonic()
        assert site.vigil.stop() == 0
        assert time.monotonic() - started_s < LONG_GRACE_S - SLACK_S


def test_everything_slow_at_once_ends_within_the_grace(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    """Redis does not answer, a picture waits for an engine that stands still, hosts stand still."""
    with open_site() as site:
        site.add("busy", clips.long.as_uri(), detect_fps=25, source_loop=True, rules=[MARKER])
        site.wait_marks("busy", 3)
        site.redis.pause()
        for pid in (processes := list(children(site.vigil.pid))):
            os.kill(pid, signal.SIGSTOP)
        request = analysis_pb2.DetectImageRequest(image=videos.jpeg())
        call = site.analysis.DetectImage.future(request)
        before = site.scrape()  # another call, answered while that one waits
        assert before.accounts()["busy"].balances
        assert not call.done()
        started_s = time.monotonic()
        status = site.vigil.stop()
        took_s = time.monotonic() - started_s
        site.redis.resume()
        print(f"ended after {took_s:.2f} s")
        assert status == 0
        assert took_s < GRACE_S + SLACK_S
        assert not any(map(alive, processes))
        assert isinstance(call.exception(), grpc.RpcError)


def test_a_second_signal_ends_it_at_once(open_site: Callable[..., Any]) -> None:
    with open_site(**LONG_GRACE) as site:
        processes = list(children(site.vigil.pid))
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)  # so that the first signal takes the whole grace
        os.kill(site.vigil.pid, signal.SIGTERM)
        until(lambda: "stopping" in site.log(), what="the first signal's effect")
        started_s = time.monotonic()
        assert site.vigil.stop() == -signal.SIGTERM
        assert time.monotonic() - started_s < LONG_GRACE_S - SLACK_S
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        until(lambda: not any(map(alive, processes)), what="the end of its children")


@contextmanager
def silent_camera() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"


def test_it_ends_while_the_model_is_loaded(models: Path, tmp_path: Path) -> None:
    """The engine's process stands still from its beginning: its model takes for ever."""
    state = tmp_path / "state"
    state.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "vigil.cli", "serve"],
        env={
            **os.environ,
            "VIGIL_STATE__PATH": str(state),
            "VIGIL_REDIS__URL": "unix:///nowhere.sock",  # Redis is away, too
            "VIGIL_MODEL__FOLDER": str(models),
            "VIGIL_MODEL__NAME": "grid",
            "VIGIL_GRPC__ADDRESS": "127.0.0.1:0",
            "VIGIL_HTTP__ADDRESS": "127.0.0.1:0",
        },
        stderr=subprocess.PIPE,
    )
    try:
        (engine,) = until(
            lambda: named(process.pid, "vigil.engine"), timeout_s=30, what="an engine"
        )
        os.kill(engine, signal.SIGSTOP)
        until((state / ADDRESSES_FILE).is_file, timeout_s=30, what="a listening service")
        process.terminate()
        started_s = time.monotonic()
        _, log = process.communicate(timeout=GRACE_S + SLACK_S + 10)
    finally:
        process.kill()
        process.wait()
    assert b"engine_ready" not in log
    assert process.returncode == 0
    assert time.monotonic() - started_s < GRACE_S + SLACK_S

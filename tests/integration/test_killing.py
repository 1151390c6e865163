"""Processes are killed under load: the others go on, streams come back, the accounts balance."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import videos
from tests.support.processes import alive, children, named
from tests.support.site import MARKER, Status, is_online, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2

pytestmark = pytest.mark.timeout(120)
STREAMS = ["a", "b", "c"]
# 5 s on a machine that does nothing else, 11 for the engine at a load of 15: torch's import is most of
# it. What took it is printed; a machine may have more to do.
BACK_S = 40.0


@pytest.fixture(scope="module")
def own_site(open_site: Callable[..., Any]) -> Iterator[Any]:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="2") as site:
        yield site


@pytest.fixture
def running(own_site: Any, clips: Clips) -> Iterator[Any]:
    """Three streams on two hosts."""
    start_streams(own_site, clips)
    yield own_site
    own_site.remove_all()


def start_streams(site: Any, clips: Clips) -> None:
    for stream_id in STREAMS:
        site.add(stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True)
    for stream_id in STREAMS:
        site.wait_online(stream_id)
    site.wait_marks(STREAMS[0], 2)


def kill(pid: int) -> float:
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def test_a_killed_host_comes_back_with_its_streams(running: Any) -> None:
    site, service = running, running.vigil.pid
    hosts = named(service, "vigil.host")
    assert len(hosts) == 2
    runs = {stream_id: site.get(stream_id).status.run for stream_id in STREAMS}
    before = site.scrape()
    restarts = before.value("vigil_process_restarts_total", process="host", reason="died")

    killed_s = kill(hosts[0])
    until(
        lambda: any(site.get(s).status.run > runs[s] for s in STREAMS),
        timeout_s=BACK_S,
        what="a new run",
    )
    for stream_id in STREAMS:
        site.wait_online(stream_id, timeout_s=BACK_S)
    hit = [s for s in STREAMS if site.get(s).status.run > runs[s]]  # all that shared the host
    site.wait_marks(hit[0], 1)
    took_s = time.monotonic() - killed_s
    print(f"streams of the killed host analysed again after {took_s:.2f} s")

    after = site.scrape()
    assert (
        after.value("vigil_process_restarts_total", process="host", reason="died") == restarts + 1
    )
    others = [s for s in STREAMS if site.get(s).status.run == runs[s]]
    assert others, "a camera of another host is not touched"
    for stream_id in STREAMS:
        account, past = after.accounts()[stream_id], before.accounts()[stream_id]
        assert account.balances
        assert account.read >= past.read
        assert all(account.outcomes[name] >= past.outcomes[name] for name in past.outcomes)
        assert stream_id in hit or account.failed == past.failed
    assert "zombie" not in children(service).values()
    assert len(named(service, "vigil.host")) == 2


def test_frames_are_pushed_again_after_a_killed_host(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="2") as site:  # its five streams need a third host
        start_streams(site, clips)
        site.add("inbox", "push:", rules=[MARKER])
        push(site, run=1)
        site.add("played", clips.short.as_uri(), source_pace=2)
        site.wait_offline("played")
        assert site.wait_offline("inbox").status.reason == Status.ENDED
        for pid in named(site.vigil.pid, "vigil.host"):
            kill(pid)
        site.wait("inbox", lambda stream: stream.status.state == Status.PENDING)
        for stream_id in STREAMS:
            site.wait_online(stream_id, timeout_s=BACK_S)
        push(site, run=2)
        played = site.get("played").status
        assert (played.reason, played.run) == (Status.ENDED, 1), "a file is not played again"


def push(site: Any, *, run: int) -> None:
    def requests() -> Iterator[analysis_pb2.AnalyzeFramesRequest]:
        yield analysis_pb2.AnalyzeFramesRequest(stream=spec_of("inbox", "push:"))
        for index in range(3):
            frame = analysis_pb2.PushedFrame(image=videos.jpeg(index))
            yield analysis_pb2.AnalyzeFramesRequest(frame=frame)

    answers = list(site.analysis.AnalyzeFrames(requests(), timeout=20))
    assert [answer.analysis.run for answer in answers] == [run] * 3


def test_a_killed_engine_comes_back_and_no_stream_is_restarted(running: Any) -> None:
    site, service = running, running.vigil.pid
    runs = {stream_id: site.get(stream_id).status.run for stream_id in STREAMS}
    restarts = site.scrape().value("vigil_process_restarts_total", process="engine", reason="died")
    (engine,) = named(service, "vigil.engine")
    with site.watching(*STREAMS, types=["marker"], timeout_s=2 * BACK_S) as answers:
        killed_s = kill(engine)
        until(
            lambda: named(service, "vigil.engine") not in ([], [engine]),
            timeout_s=BACK_S,
            what="an engine",
        )
        until(lambda: site.fetch_ready(), timeout_s=BACK_S, what="readiness")
        back = {next(answers).event.stream_id for _ in range(12)}
    took_s = time.monotonic() - killed_s
    print(f"all streams analysed again {took_s:.2f} s after the engine was killed")
    assert back == set(STREAMS)
    assert {stream_id: site.get(stream_id).status.run for stream_id in STREAMS} == runs
    samples = site.scrape()
    assert samples.value("vigil_process_restarts_total", process="engine", reason="died") == (
        restarts + 1
    )
    assert all(account.balances for account in samples.accounts().values())
    assert "zombie" not in children(service).values()


def test_a_killed_service_resumes_every_stream_and_loses_no_event(running: Any) -> None:
    site = running
    orphans = list(children(site.vigil.pid))
    assert len(orphans) >= 3
    runs = {stream_id: site.get(stream_id).status.run for stream_id in STREAMS}
    killed_s = time.monotonic()
    site.vigil.kill()
    site.start()
    for stream_id in STREAMS:
        site.wait(stream_id, is_online, timeout_s=BACK_S)
    took_s = time.monotonic() - killed_s
    print(f"all streams online {took_s:.2f} s after the service was killed")
    for stream_id in STREAMS:
        assert site.get(stream_id).status.run == runs[stream_id] + 1
        site.wait_marks(stream_id, 2)
    until(lambda: not any(map(alive, orphans)), what="the end of the killed service's children")
    for stream_id in STREAMS:
        numbers = [entry.read().event_seq for entry in site.entries(stream_id)]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1)), "without a gap"

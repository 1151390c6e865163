"""Every scrape balances, and nothing that comes and goes leaves anything behind."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import videos
from tests.support.processes import Holdings, children, named
from tests.support.site import MARKER, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2

pytestmark = pytest.mark.timeout(120)
SCRAPES = 300
CYCLES = 100


def test_every_scrape_balances_under_load(site: Any, clips: Clips) -> None:
    """Read = outcomes + in flight, for each stream, and no counter of a stream ever goes back."""
    for index in range(4):
        site.add(f"load-{index}", clips.long.as_uri(), detect_fps=25, source_loop=True)
    site.wait_online("load-3")
    stop = threading.Event()
    churn = threading.Thread(target=add_and_remove, args=(site, clips, stop))
    push = threading.Thread(target=push_frames, args=(site, stop))
    for thread in (churn, push):
        thread.start()
    try:
        last: dict[str, Any] = {}
        in_flight = 0
        for _ in range(SCRAPES):
            accounts = site.scrape().accounts()
            for stream_id, account in accounts.items():
                assert account.balances, (stream_id, account)
                assert account.in_flight >= 0
                in_flight += account.in_flight
                before = last.get(stream_id)
                if stream_id.startswith("load") and before is not None:
                    assert account.read >= before.read
                    for outcome, count in account.outcomes.items():
                        assert count >= before.outcomes[outcome], (stream_id, outcome)
            last = accounts
    finally:
        stop.set()
        for thread in (churn, push):
            thread.join()
    assert in_flight > 0, "some of these scrapes met frames on their way"


def add_and_remove(site: Any, clips: Clips, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        site.add("churn", clips.short.as_uri(), detect_fps=25)
        site.remove("churn")


def push_frames(site: Any, stop: threading.Event) -> None:
    def requests() -> Iterator[analysis_pb2.AnalyzeFramesRequest]:
        yield analysis_pb2.AnalyzeFramesRequest(stream=spec_of("balance-push", "push:"))
        for index in itertools.count():
            if stop.wait(0.01):
                return
            frame = analysis_pb2.PushedFrame(image=videos.jpeg(index))
            yield analysis_pb2.AnalyzeFramesRequest(frame=frame)

    for answer in site.analysis.AnalyzeFrames(requests()):
        assert answer.WhichOneof("result") == "analysis"


def test_streams_that_come_and_go_leave_nothing_behind(site: Any, clips: Clips) -> None:
    """Descriptors, threads and shared memory of every process are the same after 100 cycles."""
    site.add("stays", clips.long.as_uri(), source_loop=True, rules=[MARKER])
    site.wait_online("stays")
    cycle(site, clips, 10)
    service = site.vigil.pid
    pids = [service, *named(service, "vigil.host"), *named(service, "vigil.engine")]
    before = {pid: Holdings.of(pid) for pid in pids}
    cycle(site, clips, CYCLES)
    for pid, held in before.items():
        until(
            lambda pid=pid, held=held: no_more_than(Holdings.of(pid), held),
            what=f"{children(service).get(pid, 'service')}: {Holdings.of(pid)} as before, {held}",
        )
    assert "zombie" not in children(service).values()
    account = site.scrape().accounts()["stays"]
    assert (account.balances, account.failed) == (True, 0)
    assert site.get("stays").status.reconnects == 0


def cycle(site: Any, clips: Clips, times: int) -> None:
    """Add and remove; every fourth stream has been decoded before, the others are still opening."""
    for index in range(times):
        site.add("comes-and-goes", clips.short.as_uri(), rules=[MARKER])
        if index % 4 == 0:
            site.wait_online("comes-and-goes")
        site.remove("comes-and-goes")


def no_more_than(now: Holdings, before: Holdings) -> bool:
    """Connections of the test's own scrapes come and go: two descriptors are no leak in 100 cycles."""
    return (
        now.descriptors <= before.descriptors + 2
        and now.memfds <= before.memfds
        and now.threads <= before.threads + 1
    )

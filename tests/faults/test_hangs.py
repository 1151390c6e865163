"""Processes that stand still without dying: found by progress, replaced within their deadline."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import videos
from tests.support.processes import children, named
from tests.support.site import MARKER, is_online
from tests.support.videos import Clips
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
HANG_S = 10.0  # without progress for so long, a process counts as hung
BACK_S = HANG_S + 10.0  # 5 s less on a machine that does nothing else
GRACE_S = 5.0


@pytest.fixture
def own_site(planted: object, open_site: Callable[..., Any]) -> Iterator[Any]:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="1") as site:
        yield site


@pytest.fixture
def running(own_site: Any, clips: Clips) -> Iterator[Any]:
    # two minutes: a file that starts over begins a run, too
    endless = videos.write_clip(clips.root / "endless.mp4", frames=3000)
    for stream_id in ("a", "b"):
        own_site.add(stream_id, endless.as_uri(), rules=[MARKER])
    for stream_id in ("a", "b"):
        own_site.wait_marks(stream_id, 2)
    yield own_site
    own_site.remove_all()


@pytest.mark.planted(
    "vigil.fleet.host:HostKeeper.check = lambda self: None", caught="a new run did not come"
)
def test_a_host_that_stands_still_is_replaced_and_its_neighbour_does_not_notice(
    running: Any,
) -> None:
    site, service = running, running.vigil.pid
    stopped_s = time.monotonic()
    os.kill(named(service, "vigil.host")[0], signal.SIGSTOP)
    until(
        lambda: any(site.get(stream_id).status.run == 2 for stream_id in ("a", "b")),
        timeout_s=30,
        what="a new run",
    )
    for stream_id in ("a", "b"):
        site.wait(stream_id, is_online)
    took_s = time.monotonic() - stopped_s
    print(f"back {took_s:.1f} s after its host stood still")
    assert took_s < BACK_S
    runs = sorted(site.get(stream_id).status.run for stream_id in ("a", "b"))
    assert runs == [1, 2]
    samples = site.scrape()
    assert samples.value("vigil_process_restarts_total", process="host", reason="hung") == 1
    for stream_id in ("a", "b"):
        account = samples.accounts()[stream_id]
        assert account.balances
        if site.get(stream_id).status.run == 1:
            assert account.dropped == {}


@pytest.mark.planted(
    "vigil.fleet.engine:EngineKeeper.check = lambda self: None",
    caught="the end of the hung engine did not come",
)
def test_an_engine_that_stands_still_is_replaced(running: Any) -> None:
    site, service = running, running.vigil.pid
    (engine,) = named(service, "vigil.engine")
    runs = {stream_id: site.get(stream_id).status.run for stream_id in ("a", "b")}
    stopped_s = time.monotonic()
    os.kill(engine, signal.SIGSTOP)
    until(lambda: engine not in children(service), timeout_s=30, what="the end of the hung engine")
    until(site.fetch_ready, timeout_s=30, what="another engine")
    for stream_id in ("a", "b"):
        site.wait_marks(stream_id, 2)
    took_s = time.monotonic() - stopped_s
    print(f"all streams analysed again {took_s:.1f} s after the engine stood still")
    assert took_s < BACK_S + 5.0, "torch's import is most of the rest"
    assert {stream_id: site.get(stream_id).status.run for stream_id in ("a", "b")} == runs
    samples = site.scrape()
    assert samples.value("vigil_process_restarts_total", process="engine", reason="hung") == 1
    assert all(account.balances for account in samples.accounts().values())


NEVER = "lambda self, delay_s: __import__('asyncio').sleep(0)"


@pytest.mark.planted(f"vigil.fleet.host:HostKeeper._start_after = {NEVER}", caught="a new run did")
def test_a_killed_host_is_replaced_and_its_neighbour_does_not_notice(running: Any) -> None:
    site = running
    before = site.scrape().accounts()
    killed_s = time.monotonic()
    os.kill(named(site.vigil.pid, "vigil.host")[0], signal.SIGKILL)
    until(
        lambda: any(site.get(each).status.run == 2 for each in ("a", "b")),
        timeout_s=20,
        what="a new run",
    )
    for stream_id in ("a", "b"):
        site.wait_marks(stream_id, 1)
    took_s = time.monotonic() - killed_s
    (spared,) = [each for each in ("a", "b") if site.get(each).status.run == 1]
    account = site.scrape().accounts()[spared]
    lost = sum(account.dropped.values()) - sum(before[spared].dropped.values())
    print(f"back {took_s:.1f} s after its host was killed; the neighbour lost {lost} frames")
    assert took_s < BACK_S
    assert lost == 0


@pytest.mark.planted(
    f"vigil.fleet.engine:EngineKeeper._start_after = {NEVER}", caught="another engine did not come"
)
def test_a_killed_engine_is_replaced_and_no_stream_begins_anew(running: Any) -> None:
    site, service = running, running.vigil.pid
    (engine,) = named(service, "vigil.engine")
    killed_s = time.monotonic()
    os.kill(engine, signal.SIGKILL)
    until(lambda: engine not in children(service), what="the end of the killed engine")
    until(site.fetch_ready, timeout_s=30, what="another engine")
    for stream_id in ("a", "b"):
        site.wait_marks(stream_id, 1)
    print(f"all streams analysed {time.monotonic() - killed_s:.1f} s after the engine was killed")
    assert {site.get(each).status.run for each in ("a", "b")} == {1}
    assert all(account.balances for account in site.scrape().accounts().values())


def test_a_service_whose_children_all_stand_still_ends_in_time(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        site.add("a", clips.long.as_uri(), rules=[MARKER])
        site.wait_marks("a", 2)
        processes = list(children(site.vigil.pid))
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        started_s = time.monotonic()
        assert site.vigil.stop() == 0
        assert time.monotonic() - started_s < GRACE_S + 2.0
        until(lambda: not children(os.getpid()).keys() & set(processes))

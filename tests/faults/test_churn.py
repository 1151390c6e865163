"""Streams come, change and go beside others that run: nothing is left behind, nobody notices."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.processes import Holdings, children, named
from tests.support.site import MARKER, Site
from tests.support.videos import Clips
from tests.support.waiting import until

STREAMS = [f"stays-{number}" for number in range(4)]
WARM_UP = 20  # cycles before what is held is counted
# Of memory that stays over the second half of the cycles. Over the first the allocator makes its arenas:
# 11 MB in 250 cycles, then 2 MB in 2,000, since up to 40 readers that wind down have one each.
RSS_LIMIT_BYTES = 4e6
KEEP_LITTLE = {"VIGIL_EVENTS__RETENTION_S": "20"}  # or the event log's page cache grows, as it may


def cycle(site: Site, clips: Clips, times: int) -> None:
    """Add, update and remove; every fourth stream has been decoded before, the others still open."""
    for index in range(times):
        site.add("comes-and-goes", clips.short.as_uri(), rules=[MARKER], detect_fps=25)
        if index % 4 == 0:
            site.wait_online("comes-and-goes")
        if index % 2:
            site.update("comes-and-goes", "rules", rules=[])
        else:  # another source: its capture is opened anew
            site.update("comes-and-goes", "source", source_uri=clips.long.as_uri())
        site.remove("comes-and-goes")


def churn(site: Site, clips: Clips, times: int) -> str:
    """The figures of it; AssertionError where a process holds more than before."""
    for stream_id in STREAMS:
        site.add(stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True)
    for stream_id in STREAMS:
        site.wait_marks(stream_id, 2)
    cycle(site, clips, WARM_UP)
    service = site.vigil.pid
    pids = [service, *named(service, "vigil.host"), *named(service, "vigil.engine")]
    before = {pid: Holdings.of(pid) for pid in pids}
    names = {pid: children(service).get(pid, "service") for pid in pids}
    started_s = time.monotonic()
    cycle(site, clips, times // 2)
    halfway = {pid: settled(pid, names[pid], before[pid]) for pid in pids}
    cycle(site, clips, times - times // 2)
    figures = []
    for pid, name in names.items():
        gained_bytes = settled(pid, name, before[pid]).rss_bytes - halfway[pid].rss_bytes
        assert gained_bytes < RSS_LIMIT_BYTES, f"{name} left {gained_bytes / 1e6:.1f} MB behind"
        figures.append(f"{name} {gained_bytes / 1e6:+.1f} MB")
    took_s = time.monotonic() - started_s
    accounts = site.scrape().accounts()
    for stream_id in STREAMS:
        assert accounts[stream_id].balances
        # runs are no measure: a looped file begins one each time that it starts over
        assert site.get(stream_id).status.reconnects == 0, "a neighbour was restarted"
    samples = site.scrape()
    assert samples.total("vigil_process_restarts_total") == 0
    return (
        f"{times} cycles in {took_s:.0f} s: descriptors, threads, shared memory ±0; in the second half"
        f" {', '.join(figures)}; neighbours restarted: 0 of {len(STREAMS)}"
    )


def settled(pid: int, name: str, before: Holdings) -> Holdings:
    """What a process holds once readers that were stopped have ended."""
    until(
        lambda: counts_no_more(Holdings.of(pid), before),
        timeout_s=20,
        what=f"{name} left something behind, {before} before; as much",
    )
    return Holdings.of(pid)


def counts_no_more(now: Holdings, before: Holdings) -> bool:
    """A scrape's connection comes and goes: two descriptors are no leak in so many cycles."""
    return (
        now.descriptors <= before.descriptors + 2
        and now.memfds <= before.memfds
        and now.threads <= before.threads + 1
    )


@pytest.mark.slow  # integration/test_balance.py looks for the same in a dozen cycles
@pytest.mark.planted(
    "vigil.fleet.hosts:Hosts.place = lambda self, spec:"
    " (__import__('os').memfd_create('kept'), original(self, spec))[1]",
    caught="service left something behind",
)
@pytest.mark.timeout(180)
def test_streams_that_come_and_go_leave_nothing(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site(**KEEP_LITTLE) as site:
        print(churn(site, clips, 20))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_cycles_leave_nothing(open_site: Callable[..., Any], clips: Clips) -> None:
    with open_site(**KEEP_LITTLE) as site:
        print(churn(site, clips, 2000))

"""Twice as many frames as the engine can infer: every stream gets its share, of frames that are fresh."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import named
from tests.support.site import MARKER
from tests.support.videos import Clips
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SLOW_NET = (  # 10 frames a second, whatever the machine
    "vigil.engine.runner:Runner.infer = "
    "lambda self, pictures: (__import__('time').sleep(0.1 * len(pictures)), original(self, pictures))[1]"
)
STREAMS = [f"cam-{index}" for index in range(8)]
WATCH_S = 20.0
MAX_STALENESS_S = 1.0
MOST_GROWTH_MB = 40


def memory_mb(pids: list[int]) -> float:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * 4096 / 1e6


@pytest.mark.planted(
    "vigil.engine.queue:BatchQueue._urgency = lambda self, waiting, now_s: -waiting.frame.camera",
    caught="unfair",
)
def test_overload_is_shared_and_frames_stay_fresh(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    inject(SLOW_NET)
    with open_site(VIGIL_ENGINE__MAX_BATCH="2", VIGIL_HOSTS__STREAMS_PER_HOST="4") as site:
        for index, stream_id in enumerate(STREAMS):
            fps = 25 if index == 0 else 2.5  # one asks for ten times as much as the others
            site.add(
                stream_id, clips.long.as_uri(), source_loop=True, detect_fps=fps, rules=[MARKER]
            )
        for stream_id in STREAMS:
            site.wait_online(stream_id, timeout_s=30)
        children = [*named(site.vigil.pid, "vigil.host"), *named(site.vigil.pid, "vigil.engine")]
        before, held_mb = site.scrape().accounts(), memory_mb(children)
        until_s = time.monotonic() + WATCH_S
        until(lambda: time.monotonic() > until_s, timeout_s=WATCH_S + 10)
        after, grown_mb = site.scrape().accounts(), memory_mb(children) - held_mb

        def counted(stream_id: str, outcome: str) -> int:
            return after[stream_id].outcomes[outcome] - before[stream_id].outcomes[outcome]

        analysed = {stream_id: counted(stream_id, "analysed") for stream_id in STREAMS}
        share = sum(analysed.values()) / len(STREAMS)
        print(f"analysed in {WATCH_S:g} s: {analysed}; memory {grown_mb:+.0f} MB")
        assert min(analysed.values()) > 0.5 * share, f"unfair: {analysed}"
        assert max(analysed.values()) < 2.0 * share, f"unfair: {analysed}"
        assert all(account.balances for account in after.values())
        assert grown_mb < MOST_GROWTH_MB
        latest = [entry.read() for entry in site.entries()][-40:]
        ages_s = [event.published_at_s - event.event.occurred_at_s for event in latest]
        print(f"oldest of the last 40 events: {max(ages_s):.2f} s")
        assert max(ages_s) < MAX_STALENESS_S + 2.0, "stale"

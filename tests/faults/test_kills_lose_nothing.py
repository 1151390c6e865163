"""kill -9 at random moments under load: every event that was outboxed arrives, in order, numbered."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.delivery import Follower, check_delivery
from tests.support.processes import named
from tests.support.site import MARKER, Site, is_online
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.events.settings import EventSettings

STREAMS = [f"camera-{number}" for number in range(4)]
SECONDS_TO_LIVE = 1.5  # at most, once it is there
MODULES = {"host": "vigil.host", "engine": "vigil.engine"}
# What died takes up to 10 s to be started again where it dies again and again.
BACK_S = 60.0


class Killer:
    """Kills one process after the other, each a random while after it was there."""

    def __init__(self, site: Site, *, seed: int) -> None:
        self._site = site
        self._draw = random.Random(seed)
        self._never = threading.Event()
        self.kills: Counter[str] = Counter()

    def kill(self, victim: str) -> None:
        pid = self._find(victim)
        self._never.wait(self._draw.uniform(0.0, SECONDS_TO_LIVE))
        self.kills[victim] += 1
        if victim == "service":
            self._site.vigil.kill()
            self._site.start()
        elif victim == "redis":
            self._site.redis.kill()
            self._site.redis.start()
        else:
            os.kill(pid, signal.SIGKILL)

    def _find(self, victim: str) -> int:
        if victim not in MODULES:
            return 0
        found = until(
            lambda: named(self._site.vigil.pid, MODULES[victim]), timeout_s=BACK_S, what=victim
        )
        return self._draw.choice(found)


def kill_again_and_again(site: Site, clips: Clips, victims: Sequence[str], *, seed: int) -> str:
    """The figures of it; AssertionError where an event is lost, out of order or not a true copy."""
    killer = Killer(site, seed=seed)
    with Follower(site) as follower:
        for stream_id in STREAMS:
            site.add(
                stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=10
            )
        site.wait_marks(STREAMS[-1], 2)
        started_s = time.monotonic()
        for victim in victims:
            killer.kill(victim)
        took_s = time.monotonic() - started_s
        for stream_id in STREAMS:
            site.wait(stream_id, is_online, timeout_s=BACK_S)
            site.wait_marks(stream_id, 2, timeout_s=BACK_S)
        until(lambda: not site.scrape().total("vigil_outbox_events"), what="an empty outbox")
        assert site.vigil.stop() == 0
    seen = follower.check()
    delivery = check_delivery(site.vigil.state, site.entries())
    kills = killer.kills["service"] + killer.kills["redis"]  # nobody else sends anything
    assert delivery.copies <= kills * EventSettings().batch_events
    return (
        f"{sum(killer.kills.values())} kills in {took_s:.0f} s ({dict(killer.kills)}): events lost: 0 of"
        f" {delivery.events}; copies: {delivery.copies}; watched without gap or repeat: {seen},"
        f" resumed {follower.resumed} times"
    )


@pytest.mark.planted(
    # marked as sent half a second before it is
    "vigil.events.redis_link:RedisLink.add = lambda self, entries: asyncio.sleep(0,"
    " asyncio.get_running_loop().call_later(0.5,"
    " lambda: asyncio.ensure_future(original(self, entries))))",
    caught="outboxed events are lost",
)
@pytest.mark.timeout(180)
def test_kills_lose_no_event(open_site: Callable[..., Any], clips: Clips) -> None:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="2") as site:
        print(kill_again_and_again(site, clips, ["host", "redis", "engine", "service"], seed=1))


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_two_hundred_kills_of_each_process_lose_no_event(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    """In turn, so that hosts and engine are young each time: a service that is started anew has no
    memory of how often they died.
    """
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="2") as site:
        print(
            kill_again_and_again(site, clips, ["host", "redis", "engine", "service"] * 200, seed=3)
        )

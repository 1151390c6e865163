"""Redis is away, hangs, refuses or is full while cameras are analysed: nothing is lost, nobody waits."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis

from tests.support.delivery import Follower, check_delivery
from tests.support.redis_troubles import full, hung, locked, read_only
from tests.support.site import MARKER, Site
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.events.embedded import EmbeddedRedis
from vigil.events.settings import EventSettings

STREAMS = [f"camera-{number}" for number in range(4)]
LEAST_WAITING = 40  # events, before the trouble ends
DEADLINE_S = 60.0
MARKS_SENT_BEFORE_IT_IS = (
    "vigil.events.redis_link:RedisLink.add = lambda self, entries: asyncio.sleep(0,"
    " asyncio.get_running_loop().call_later(0.5,"
    " lambda: asyncio.ensure_future(original(self, entries))))"
)
Trouble: TypeAlias = Callable[[EmbeddedRedis, redis.Redis], Iterator[None]]


def away(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    server.kill()
    yield
    server.start()


def survive(site: Site, clips: Clips, troubles: dict[str, Trouble], *, seconds: float = 0.0) -> str:
    """The figures of it; AssertionError where analysis waits, nothing is said, or an event is lost.

    Each trouble lasts until ``LEAST_WAITING`` events wait and ``seconds`` are over.
    """
    figures = []
    with (
        contextlib.closing(redis.Redis.from_url(site.redis.url)) as admin,
        Follower(site) as follower,
    ):
        for stream_id in STREAMS:
            site.add(
                stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=10
            )
        for stream_id in STREAMS:
            site.wait_marks(stream_id, 2, timeout_s=DEADLINE_S)
        for reason, trouble in troubles.items():
            steps = trouble(site.redis, admin)
            next(steps)
            began_s = time.monotonic()
            shown = {"reason": reason}
            until(
                lambda shown=shown: site.scrape().value("vigil_redis_state", state=shown["reason"]),
                timeout_s=DEADLINE_S,
                what=f"in the state, {reason}",
            )
            assert f"Redis takes no events ({reason})" in site.fetch("/healthz")
            for stream_id in STREAMS:
                site.wait_marks(
                    stream_id, 5, timeout_s=DEADLINE_S
                )  # are kept, and shown to clients
            until(
                lambda began_s=began_s: (
                    site.scrape().total("vigil_outbox_events") > LEAST_WAITING
                    and time.monotonic() - began_s >= seconds
                ),
                timeout_s=seconds + DEADLINE_S,
                what="events that wait",
            )
            waiting = int(site.scrape().total("vigil_outbox_events"))
            next(steps, None)
            back_s = time.monotonic()
            until(
                lambda: not site.scrape().total("vigil_outbox_events"),
                timeout_s=DEADLINE_S,
                what="an empty outbox",
            )
            figures.append(
                f"{reason}: {waiting} waited, sent {time.monotonic() - back_s:.1f} s after"
            )
        samples = site.scrape()
        assert samples.value("vigil_redis_state", state="connected") == 1
        assert samples.total("vigil_events_dropped_total") == 0
        for stream_id, account in samples.accounts().items():
            assert account.balances
            assert site.get(stream_id).status.reconnects == 0, "a stream was restarted"
        assert site.vigil.stop() == 0
    seen = follower.check()
    delivery = check_delivery(site.vigil.state, site.entries())
    assert delivery.copies <= len(troubles) * EventSettings().batch_events
    return (
        f"{'; '.join(figures)}; events lost: 0 of {delivery.events}, copies: {delivery.copies},"
        f" watched without gap or repeat: {seen}"
    )


@pytest.mark.planted(MARKS_SENT_BEFORE_IT_IS, caught="in the state, unreachable|are lost")
@pytest.mark.timeout(240)
def test_redis_that_is_killed_and_comes_back_has_every_event(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        print(survive(site, clips, {"unreachable": away}))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_redis_that_hangs_refuses_or_is_full_has_every_event_afterwards(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        troubles = {"slow": hung, "auth": locked, "read_only": read_only, "full": full}
        print(survive(site, clips, troubles))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_redis_away_for_ten_minutes_loses_nothing(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        print(survive(site, clips, {"unreachable": away}, seconds=600.0))


@pytest.mark.slow
@pytest.mark.planted(
    # a start takes for sent all that is in the log
    "vigil.events.outbox:Outbox._take_stock = lambda self, backlog: original(self,"
    " backlog._replace(position=backlog.position._replace(sent=backlog.position.newest)))",
    caught="not sent again|are lost",
)
@pytest.mark.timeout(240)
def test_a_service_killed_between_sending_and_marking_sends_again_what_has_one_effect(
    open_site: Callable[..., Any],
    clips: Clips,
    tmp_path: Path,
    inject: Callable[..., None],
) -> None:
    """The service kills itself, once, where Redis has its first batch and the outbox does not know it."""
    once = tmp_path / "killed"
    inject(
        "vigil.events.publisher:Publisher._mark = lambda self: original(self)"
        f" if self._unmarked is None or __import__('os').path.exists({str(once)!r})"
        f" else (open({str(once)!r}, 'x').close(), __import__('os').kill(__import__('os').getpid(), 9))"
    )
    with open_site() as site:
        site.add("camera-0", clips.long.as_uri(), rules=[MARKER], source_loop=True)
        until(lambda: site.vigil.ended, timeout_s=DEADLINE_S, what="the service's end")
        sent = len(site.entries())
        assert sent > 0
        site.start()
        site.wait_marks("camera-0", 20, timeout_s=DEADLINE_S)
        assert site.vigil.stop() == 0
        delivery = check_delivery(site.vigil.state, site.entries())
        assert delivery.copies == sent, "the batch was not sent again"
        print(f"events lost: 0 of {delivery.events}; sent again: {delivery.copies}, all alike")

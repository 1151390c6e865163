"""Events are watched, listed and read from Redis: the same ones, each once, in order."""

import asyncio
import gc
from contextlib import aclosing
from typing import Any

import grpc
import msgspec
import pytest

from tests.support.errors import refusal
from tests.support.site import MARKER
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.api.client import StreamClient
from vigil.v1 import events_pb2

pytestmark = pytest.mark.timeout(90)
KEYS = """event_id episode_id type phase stream_id run event_seq rule_id track_id class score bbox
occurred_at published_at labels attributes snapshot"""


def test_a_watch_resumes_after_its_cursor(site: Any, clips: Clips) -> None:
    site.add("watched", clips.long.as_uri(), detect_fps=25, rules=[MARKER])
    with site.watching("watched") as answers:
        seen = [next(answers) for _ in range(5)]
    site.wait_marks("watched", 5)  # what happens while nobody of us watches
    with site.watching("watched", cursor=seen[-1].cursor) as answers:
        resumed = [next(answers) for _ in range(15)]
    numbers = [answer.event.event_seq for answer in [*seen, *resumed]]
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_a_page_after_a_page_is_everything_once(site: Any, clips: Clips) -> None:
    site.add("paged", clips.short.as_uri(), source_pace=2, detect_fps=25, rules=[MARKER])
    site.wait_offline("paged")
    token, seen = "", []
    while True:
        request = events_pb2.ListEventsRequest(
            filter=events_pb2.EventFilter(stream_ids=["paged"]), page_size=7, page_token=token
        )
        answer = site.events.ListEvents(request, timeout=10)
        assert len(answer.events) <= 7
        seen += [event.event_seq for event in answer.events]
        token = answer.next_page_token
        if not token:
            break
    assert seen == list(range(1, 51))


def test_redis_holds_what_the_service_lists(site: Any, clips: Clips) -> None:
    site.add("both", clips.short.as_uri(), labels={"place": "north"}, rules=[MARKER])
    site.wait_offline("both")
    listed = site.listed("both")
    assert len(listed) == site.scrape().accounts()["both"].outcomes["analysed"]
    entries = until(lambda: (e := site.entries("both")) and len(e) == len(listed) and e)
    assert [entry.event_id for entry in entries] == [event.event_id for event in listed]
    for entry, event in zip(entries, listed, strict=True):
        data = msgspec.json.decode(entry.data)
        assert set(data) == set(KEYS.split())
        assert data["event_seq"] == event.event_seq
        assert data["labels"] == {"place": "north"}
        assert (data["phase"], data["run"], data["rule_id"]) == ("new", 1, "mark")
        assert data["published_at"] >= data["occurred_at"] > "2020"


def test_a_cursor_that_is_none_is_refused(site: Any) -> None:
    request = events_pb2.WatchEventsRequest(cursor="not one of ours")
    code, _, named = refusal(lambda: next(site.events.WatchEvents(request, timeout=10)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "cursor" in named


def test_latency_is_measured_for_every_event(site: Any, clips: Clips) -> None:
    before = site.scrape().total("vigil_latency_seconds_count")
    site.add("timed", clips.long.as_uri(), rules=[MARKER])
    site.wait_marks("timed", 5)
    site.remove("timed")
    events = len(site.listed("timed"))
    until(lambda: site.scrape().total("vigil_latency_seconds_count") >= before + events)
    samples = site.scrape()
    for stage in ("decode", "resize", "queue", "batch_wait", "infer", "postprocess", "track"):
        assert samples.value("vigil_stage_seconds_count", stage=stage) > 0
    assert samples.value("vigil_stage_seconds_count", stage="outbox") > 0
    assert samples.value("vigil_stage_seconds_count", stage="publish") > 0
    assert samples.total("vigil_events_total", type="marker", phase="new") >= events


def test_a_watch_that_our_client_leaves_is_over_for_the_service(site: Any, clips: Clips) -> None:
    """Not only when Python collects its garbage: a soak found the service 22 KB larger after each watch."""
    site.add("left", clips.long.as_uri())

    def ended() -> float:
        values = site.scrape().values.items()
        name, wanted = "grpc_server_handled_total", {"WatchStreams", "CANCELLED"}
        return sum(
            value
            for (of, labels), value in values
            if of == name and wanted <= {*dict(labels).values()}
        )

    async def watch() -> None:
        async with (
            StreamClient(site.vigil.addresses.grpc) as client,
            aclosing(client.watch("left")) as states,
        ):
            assert (await anext(states)).spec.stream_id == "left"
            before = await asyncio.to_thread(ended)
            await states.aclose()
            await asyncio.to_thread(until, lambda: ended() > before, what="the end of the watch")

    gc.disable()
    try:
        asyncio.run(watch())
    finally:
        gc.enable()

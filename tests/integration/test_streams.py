"""Streams are added, changed and removed by RPC while others run."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.support.errors import refusal
from tests.support.site import MARKER, Status, happened_s, is_online, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import events_pb2, rules_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Point

pytestmark = pytest.mark.timeout(90)

# Every test names its streams its own way: an id's runs are counted on, though it was removed.


MOST_STEP_S = 2.0


def video(clips: Clips) -> str:
    return clips.long.as_uri()


def test_a_stream_lives_from_add_to_remove(site: Any, clips: Clips) -> None:
    added = site.add("life", video(clips), labels={"place": "north"}, rules=[MARKER])
    assert added.generation == 1
    assert added.status.state in (Status.PENDING, Status.CONNECTING, Status.ONLINE)

    online = site.wait_online("life")
    assert (online.status.run, online.status.width_px, online.status.height_px) == (1, 320, 240)
    listed = site.streams.ListStreams(streams_pb2.ListStreamsRequest()).streams
    assert [stream.spec.stream_id for stream in listed] == ["life"]
    assert site.get("life").spec.labels == {"place": "north"}

    again = site.add("life", video(clips), labels={"place": "north"}, rules=[MARKER])
    assert again.generation == 1
    code, _, _ = refusal(lambda: site.add("life", video(clips), detect_fps=7))
    assert code is grpc.StatusCode.ALREADY_EXISTS

    watch = site.streams.WatchStreams(streams_pb2.WatchStreamsRequest(), timeout=10)
    next(watch)
    site.remove("life")
    assert any(answer.removed for answer in watch)  # ends at the first that is
    watch.cancel()
    assert refusal(lambda: site.get("life"))[0] is grpc.StatusCode.NOT_FOUND
    assert refusal(lambda: site.remove("life"))[0] is grpc.StatusCode.NOT_FOUND


def test_a_stale_generation_is_refused(site: Any, clips: Clips) -> None:
    site.add("stale", video(clips))
    site.update("stale", "detect_fps", detect_fps=2)
    request = streams_pb2.UpdateStreamRequest(spec=spec_of("stale", "", detect_fps=3), generation=1)
    request.update_mask.paths.append("detect_fps")
    code, message, _ = refusal(lambda: site.streams.UpdateStream(request, timeout=10))
    assert code is grpc.StatusCode.ABORTED
    assert "generation 2" in message
    assert site.get("stale").spec.detect_fps == 2


def test_rules_change_on_a_running_stream_without_a_restart(site: Any, clips: Clips) -> None:
    site.add("ruled", video(clips))
    before = site.wait_online("ruled")

    site.update("ruled", "rules", rules=[MARKER])
    marks = site.wait_marks("ruled", 3)
    assert {(event.run, event.rule_id) for event in marks} == {(1, "mark")}

    other = rules_pb2.Rule(rule_id="other", marker=rules_pb2.MarkerRule())
    zone = rules_pb2.Rule(
        rule_id="all",
        zone=rules_pb2.ZoneRule(
            polygon=[Point(x=x, y=y) for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)]]
        ),
    )
    site.update("ruled", "rules", rules=[other, zone])
    with site.watching("ruled", types=["marker"]) as answers:
        assert next(a.event for a in answers if a.event.rule_id != "mark").rule_id == "other"

    site.update("ruled", "rules", rules=[])
    unmarked = unmarked_frames(site, "ruled")
    until(lambda: unmarked_frames(site, "ruled") >= unmarked + 5, what="frames without a mark")

    after = site.get("ruled")
    assert after.status.run == before.status.run == 1
    assert after.status.reconnects == 0
    assert after.status.since == before.status.since


def test_only_a_change_of_the_source_begins_a_new_run(site: Any, clips: Clips) -> None:
    site.add("moved", video(clips), rules=[MARKER])
    site.wait_online("moved")
    site.update("moved", "detect_fps", "priority", detect_fps=12, priority=3)
    assert {event.run for event in site.wait_marks("moved", 3)} == {1}

    site.update("moved", "source", source_uri=clips.long.as_uri(), source_loop=True)
    site.wait("moved", lambda stream: is_online(stream) and stream.status.run == 2)
    account = site.scrape().accounts()["moved"]
    assert account.balances
    assert account.read >= account.outcomes["analysed"] > 0


def test_no_counter_goes_back_when_a_stream_is_opened_anew(site: Any, clips: Clips) -> None:
    """The next run counts where the last one did, or where another stream had."""
    site.add("other", video(clips), detect_fps=25)
    site.add("anew", video(clips), detect_fps=25, rules=[MARKER])
    site.wait_marks("anew", 5)
    stop = threading.Event()
    reads: list[int] = []

    def scrape() -> None:
        while not stop.is_set():
            reads.append(site.scrape().accounts()["anew"].read)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        for loop in (True, False, True, False):
            site.remove("other")
            site.update("anew", "source", source_uri=video(clips), source_loop=loop)
            site.add("other", video(clips), detect_fps=25)
            site.wait_marks("anew", 3)
    finally:
        stop.set()
        scraper.join()
    assert reads == sorted(reads)
    assert reads[-1] < 500, "and none of another stream's frames is counted"


def test_a_disabled_stream_stays_and_is_not_read(site: Any, clips: Clips) -> None:
    site.add("paused", video(clips))
    site.wait_online("paused")
    site.update("paused", "enabled", enabled=False)
    site.wait("paused", lambda stream: stream.status.state == Status.DISABLED)
    account = site.scrape().accounts()["paused"]
    assert account.in_flight == 0
    assert account.balances
    site.update("paused", "enabled", enabled=True)
    site.wait("paused", lambda stream: is_online(stream) and stream.status.run == 2)
    assert site.scrape().accounts()["paused"].read >= account.read


def test_four_running_streams_lose_no_frame_to_their_neighbours(site: Any, clips: Clips) -> None:
    four = ["east", "north", "south", "west"]
    for stream_id in four:
        site.add(stream_id, video(clips), rules=[MARKER], source_loop=True)
    for stream_id in four:
        site.wait_online(stream_id)

    with site.watching(*four, timeout_s=60) as answers:
        for _ in range(2):
            site.add("guest", video(clips), rules=[MARKER])
            site.wait_online("guest")
            site.update("guest", "rules", rules=[])
            site.update("guest", "source", source_uri=clips.short.as_uri())
            site.wait("guest", lambda stream: is_online(stream))
            site.remove("guest")
        seen = [next(answers).event for _ in range(40)]

    accounts = site.scrape().accounts()
    for stream_id in four:
        account = accounts[stream_id]
        assert account.balances
        assert account.failed == 0
        assert site.get(stream_id).status.run == 1
        own = [event for event in seen if event.stream_id == stream_id]
        assert [event.event_seq for event in own] == list(
            range(own[0].event_seq, own[0].event_seq + len(own))
        )
        times = [happened_s(event) for event in own]
        steps = [after - before for before, after in itertools.pairwise(times)]
        # of five frames a second: a process that is started again costs more, a busy machine less
        assert max(steps) < MOST_STEP_S, f"{stream_id}: {steps}"


def test_more_streams_than_one_host_holds_may_be_added_at_once(site: Any, clips: Clips) -> None:
    names = [f"cam-{index:02d}" for index in range(10)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: site.add(name, video(clips), detect_fps=1), names))
    for name in names:
        assert site.wait_online(name).status.run == 1
    accounts = site.scrape().accounts()
    assert all(accounts[name].balances for name in names)


def test_a_call_that_is_given_up_leaves_no_half_of_a_stream(site: Any, clips: Clips) -> None:
    for index in range(30):
        name = f"hasty-{index}"
        request = streams_pb2.AddStreamRequest(spec=spec_of(name, video(clips), detect_fps=1))
        call = site.streams.AddStream.future(request)
        call.cancel() if index % 2 else call.result(timeout=10)
        removal = site.streams.RemoveStream.future(streams_pb2.RemoveStreamRequest(stream_id=name))
        removal.cancel() if index % 3 else removal.exception(timeout=10)

    def settled() -> bool:
        """Every stream that is listed is running, and every one that is counted is listed."""
        listed = site.streams.ListStreams(streams_pb2.ListStreamsRequest(), timeout=10).streams
        counted = site.scrape().accounts()
        return {s.spec.stream_id for s in listed} == set(counted) and all(map(is_online, listed))

    until(settled, timeout_s=20, what="agreement of list and counters")


def analysed_frames(site: Any, stream_id: str) -> int:
    return int(site.scrape().value("vigil_frames_total", stream_id=stream_id, outcome="analysed"))


def unmarked_frames(site: Any, stream_id: str) -> int:
    """How many were analysed without leaving a mark, or before their mark is in the log."""
    return analysed_frames(site, stream_id) - len(site.listed(stream_id, types=["marker"]))


def test_events_of_a_stream_are_listed_after_it_is_gone(site: Any, clips: Clips) -> None:
    site.add("brief", video(clips), rules=[MARKER])
    site.wait_marks("brief", 3)
    site.remove("brief")
    request = events_pb2.ListEventsRequest(filter=events_pb2.EventFilter(stream_ids=["brief"]))
    events = site.events.ListEvents(request, timeout=10).events
    assert [event.event_seq for event in events] == list(range(1, len(events) + 1))
    assert len(events) >= 3

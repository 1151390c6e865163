"""A service that traces: what a collector gets of frames, events and calls, and what its absence costs."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.collector import GrpcCollector, Received, attributes_of
from tests.support.site import MARKER
from tests.support.waiting import until
from vigil.v1 import streams_pb2

pytestmark = pytest.mark.timeout(120)
STAGES = [
    *("capture", "resize", "queue", "batch_wait", "infer", "postprocess", "return"),
    *("track", "rules", "outbox", "publish"),
]
SLACK_NS = 1000  # times are floats of seconds


@pytest.fixture
def collector() -> Iterator[GrpcCollector]:
    with GrpcCollector() as collector:
        yield collector


@pytest.fixture
def traced(open_site: Callable[..., Any], collector: GrpcCollector) -> Iterator[Any]:
    settings = {
        "VIGIL_TRACES__ENDPOINT": collector.endpoint,
        "VIGIL_TRACES__SAMPLE_RATIO": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with open_site(**settings) as site:
        yield site


def published(trace: Received) -> bool:
    return any(part.name == "publish" for part in trace.parts)


def test_a_frame_is_one_trace_from_capture_to_redis(
    traced: Any, collector: GrpcCollector, clips: Any
) -> None:
    traced.add("gate", clips.long.as_uri(), source_loop=True, rules=[MARKER])
    trace = collector.wait(published)
    about = attributes_of(trace.root)
    assert about["vigil.stream_id"] == "gate"
    assert about["vigil.model"] == "grid"
    assert about["vigil.outcome"] == "analysed"
    assert [part.name for part in trace.parts] == STAGES
    assert attributes_of(trace.part("infer"))["vigil.batch_size"] >= 1
    before = trace.root.start_time_unix_nano
    for part in trace.parts:
        assert part.start_time_unix_nano >= before - SLACK_NS, part.name
        assert part.end_time_unix_nano >= part.start_time_unix_nano, part.name
        before = part.start_time_unix_nano
    assert max(part.end_time_unix_nano for part in trace.parts) == trace.root.end_time_unix_nano
    entry = next(
        each for each in traced.entries("gate") if each.event_id in about["vigil.event_ids"]
    )
    assert entry.read().event.run == about["vigil.run"]
    assert attributes_of(trace.part("publish"))["vigil.event_ids"] == about["vigil.event_ids"]

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = streams_pb2.GetStreamRequest(stream_id="gate")
    traced.streams.GetStream(request, metadata=[("traceparent", parent)])
    call = until(
        lambda: [one for one in collector.spans() if one.trace_id.hex() == parent.split("-")[1]],
        what="the call's span",
    )
    assert [one.name for one in call] == ["vigil.v1.StreamService/GetStream"]

    traced.remove("gate")
    until(lambda: not traced.scrape().total("vigil_outbox_events"), what="an empty outbox")
    kept = {entry.event_id for entry in traced.entries("gate")}

    def told() -> list[str]:
        abouts = [attributes_of(each.root) for each in collector.traces()]
        return [event_id for about in abouts for event_id in about.get("vigil.event_ids", ())]

    until(lambda: kept <= set(told()), what="a trace of every frame, and so of every event")
    assert len(told()) == len(set(told()))


def test_a_collector_that_is_away_loses_nothing_of_vigils(
    open_site: Callable[..., Any], clips: Any
) -> None:
    with socket.socket() as taken:  # a port where nobody answers
        taken.bind(("127.0.0.1", 0))
        settings = {
            "VIGIL_TRACES__ENDPOINT": f"http://127.0.0.1:{taken.getsockname()[1]}",
            "VIGIL_TRACES__SAMPLE_RATIO": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with open_site(**settings) as site:
            site.add("gate", clips.long.as_uri(), source_loop=True, rules=[MARKER])
            marks = site.wait_marks("gate", 20)
            seqs = [mark.event_seq for mark in marks]
            assert seqs == list(range(seqs[0], seqs[0] + 20))

            def failed() -> float:
                return site.scrape().total("vigil_spans_total", outcome="failed")

            until(failed, timeout_s=60, what="a failed export")
            samples = site.scrape()
            assert samples.total("vigil_spans_total", outcome="exported") == 0
            assert samples.total("vigil_events_dropped_total") == 0
            assert samples.accounts()["gate"].balances
            site.remove("gate")
            lines = [line for line in site.log().splitlines() if "opentelemetry" in line]
            assert 1 <= len(lines) < 30, "said, and not again for each frame"

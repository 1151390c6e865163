"""Spans reach a collector by OTLP's own protocols; one that is away costs nothing but the spans."""

import socket
import time
from collections import Counter

import pytest

from tests.support.collector import GrpcCollector, HttpCollector, attributes_of
from vigil.clock import SystemClock
from vigil.config import TracesConfig
from vigil.redact import REDACTOR
from vigil.traces import export as module
from vigil.traces.export import LEAVE_S, MOST_WAITING, SpanExport
from vigil.traces.span import Span

ROOT = Span("frame", 1000.0, 1000.5, {"vigil.stream_id": "gate", "vigil.event_ids": ("a", "b")})
PARTS = [Span("capture", 1000.0, 1000.1), Span("infer", 1000.2, 1000.4, {"vigil.batch_size": 3})]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Counts(Counter[str]):
    def __call__(self, outcome: str, spans: int) -> None:
        self[outcome] += spans


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits at the end has the time that a loaded machine takes to send it."""
    monkeypatch.setattr(module, "LEAVE_S", 30.0)


def export(endpoint: str, counts: Counts, **more: object) -> SpanExport:
    config = TracesConfig(endpoint=endpoint, **{"sample_ratio": 0.0, **more})
    return SpanExport(config, count=counts, clock=SystemClock())


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("protocol", "kind"), [("grpc", GrpcCollector), ("http", HttpCollector)])
async def test_a_trace_arrives_whole(
    protocol: str, kind: type[GrpcCollector] | type[HttpCollector]
) -> None:
    counts = Counts()
    with kind() as collector:
        async with export(collector.endpoint, counts, protocol=protocol) as spans:
            spans.frame(ROOT, PARTS)
    (trace,) = collector.traces()
    assert [part.name for part in trace.parts] == ["capture", "infer"]
    assert {part.trace_id for part in trace.parts} == {trace.root.trace_id}
    assert trace.root.parent_span_id == b""
    assert trace.root.start_time_unix_nano == 1000_000_000_000
    assert trace.root.end_time_unix_nano == 1000_500_000_000
    assert attributes_of(trace.root) == {"vigil.stream_id": "gate", "vigil.event_ids": ["a", "b"]}
    assert attributes_of(trace.part("infer")) == {"vigil.batch_size": 3}
    (resource,) = collector.resources
    assert {
        "service.name": "vigil",
        "telemetry.sdk.language": "python",
    }.items() <= attributes_of(resource.resource).items()
    assert counts == {"exported": 3}


async def test_a_collector_that_is_away_costs_its_spans_and_no_time() -> None:
    counts = Counts()
    with socket.socket() as taken:  # a port where nobody answers
        taken.bind(("127.0.0.1", 0))
        async with export(f"http://127.0.0.1:{taken.getsockname()[1]}", counts) as spans:
            began_s = time.monotonic()
            for _ in range(MOST_WAITING):
                spans.frame(ROOT, PARTS)
            written_s = time.monotonic() - began_s
            assert counts["no_room"] >= 3 * MOST_WAITING - 2 * MOST_WAITING
            began_s = time.monotonic()
        left_s = time.monotonic() - began_s
    assert written_s < 5, "thousands of spans do not wait for a collector"
    assert left_s < LEAVE_S + 5, "nor does the end"
    assert not counts["exported"]


@pytest.mark.usefixtures("patient")
async def test_a_refused_export_is_counted() -> None:
    counts = Counts()
    with HttpCollector() as collector:
        async with export(f"{collector.endpoint}/other", counts, protocol="http") as spans:
            spans.frame(ROOT, PARTS)
    assert counts == {"failed": 3}
    assert not collector.spans()


@pytest.mark.usefixtures("patient")
async def test_a_call_goes_on_with_its_clients_trace() -> None:
    counts = Counts()
    call = {"service": "vigil.v1.StreamService", "method": "AddStream", "duration_s": 0.25}
    with GrpcCollector() as collector:
        async with export(collector.endpoint, counts) as spans:
            spans.call(code="OK", metadata=[("traceparent", TRACEPARENT), ("x", b"\0")], **call)
            spans.call(code="OK", metadata=[], **call)  # drawn by lot: never at 0
            spans.call(code="UNAUTHENTICATED", metadata=[("traceparent", TRACEPARENT)], **call)
            unsampled = [("traceparent", TRACEPARENT[:-1] + "0")]
            spans.call(code="OK", metadata=unsampled, **call)
            spans.call(code="OK", metadata=[("traceparent", "hostile")], **call)
    (span,) = collector.spans()
    assert span.name == "vigil.v1.StreamService/AddStream"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == tuple(TRACEPARENT.split("-")[1:3])
    assert span.end_time_unix_nano - span.start_time_unix_nano == pytest.approx(0.25e9, abs=1e3)
    assert attributes_of(span)["rpc.grpc.status"] == "OK"


@pytest.mark.usefixtures("patient")
async def test_calls_without_a_trace_are_drawn_by_lot() -> None:
    counts = Counts()
    with GrpcCollector() as collector:
        async with export(collector.endpoint, counts, sample_ratio=1.0) as spans:
            spans.call(service="s", method="m", code="INTERNAL", duration_s=0.1, metadata=[])
    (span,) = collector.spans()
    assert span.status.code == span.status.STATUS_CODE_ERROR


@pytest.mark.usefixtures("patient")
async def test_no_span_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20Kollektor7")
    counts, canary = Counts(), "Kanarie@ / %"
    REDACTOR.remember(canary)
    hostile = {"vigil.stream_id": f"x {canary}", "vigil.event_ids": ("a", canary)}
    with GrpcCollector() as collector:
        async with export(collector.endpoint, counts) as spans:
            spans.frame(Span(f"frame {canary}", 1.0, 2.0, hostile), [])
            spans.frame(Span("see Kollektor7", 1.0, 2.0), [])
    assert collector.logins == {"Basic Kollektor7"}
    assert "Kanarie" not in str(collector.resources)
    assert "Kollektor7" not in str(collector.resources)
    assert len(collector.spans()) == 2

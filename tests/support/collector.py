"""OTLP receivers of OpenTelemetry's own protocol, as a collector has them: over gRPC and over HTTP."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tests.support.waiting import until


class Received(NamedTuple):
    """One trace: its root, and what is within, in order of time."""

    root: SpanMessage
    parts: list[SpanMessage]

    def part(self, name: str) -> SpanMessage:
        return next(part for part in self.parts if part.name == name)


class Spans:
    """What a receiver was sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.resources: list[ResourceSpans] = []

    def take(self, request: trace_service.ExportTraceServiceRequest) -> None:
        with self._lock:
            self.resources.extend(request.resource_spans)

    def spans(self) -> list[SpanMessage]:
        with self._lock:
            return [
                span
                for resource in self.resources
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def traces(self) -> list[Received]:
        """Traces of frames that came so far."""
        spans = self.spans()
        roots = [span for span in spans if span.name == "frame"]
        found = []
        for root in roots:
            parts = [span for span in spans if span.parent_span_id == root.span_id]
            found.append(Received(root, sorted(parts, key=lambda span: span.start_time_unix_nano)))
        return found

    def wait(self, where: Callable[[Received], object], *, timeout_s: float = 30.0) -> Received:
        """The first trace of a frame that is as wanted."""
        return until(
            lambda: next((trace for trace in self.traces() if where(trace)), None),
            timeout_s=timeout_s,
            what="a trace",
        )


class GrpcCollector(Spans, trace_service_pb2_grpc.TraceServiceServicer):
    """Entering it opens a port."""

    def __init__(self) -> None:
        super().__init__()
        self.logins: set[str] = set()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - OTLP's name
        self.logins |= {v for k, v in context.invocation_metadata() if k == "authorization"}
        self.take(request)
        return trace_service.ExportTraceServiceResponse()

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()


class HttpCollector(Spans):
    """Entering it opens a port."""

    def __enter__(self) -> Self:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path == "/v1/traces"
                if known:
                    take(trace_service.ExportTraceServiceRequest.FromString(body))
                self.send_response(200 if known else 404)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes_of(span: SpanMessage) -> dict[str, Any]:
    """A span's attributes as plain values."""
    found: dict[str, Any] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        is_array = kind == "array_value"
        found[each.key] = [one.string_value for one in value.values] if is_array else value
    return found

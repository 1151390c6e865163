"""The one door to OpenTelemetry: spans go to a collector, or are counted as lost."""

import asyncio
import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from vigil.clock import Clock
from vigil.config import TracesConfig
from vigil.redact import REDACTOR
from vigil.traces.span import Span

MOST_WAITING = 2048  # spans; a trace that comes while so many wait is lost, counted
AT_ONCE = 512  # spans in one request to the collector
EXPORT_TIMEOUT_S = 5.0  # of a request, its retries with it
LEAVE_S = 0.5  # for the collector to take what waits when the service ends
OUTCOMES = ("exported", "failed", "no_room")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

Count = Callable[[str, int], None]
"""Told how many spans had which of `OUTCOMES`; any thread may call it."""


class SpanExport:
    """Entering it begins to export, leaving it gives the collector `LEAVE_S` for what waits.

    Spans are written on the event loop and sent by a thread of OpenTelemetry's. Nothing here waits for the
    collector; what it does not take is lost and counted.
    """

    def __init__(self, config: TracesConfig, *, count: Count, clock: Clock) -> None:
        self._config = config
        self._count = count
        self._clock = clock
        self._written = 0

    async def __aenter__(self) -> Self:
        """Start the thread that exports."""
        for name in _HEADERS:
            _remember_headers(os.environ.get(name, ""))
        self._exporter = _Counting(_exporter(self._config), self._count)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # who writes a trace has drawn it
            resource=Resource.create(
                {"service.name": "vigil", "service.version": metadata.version("vigil")}
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=2 * MOST_WAITING,  # never full: it would lose parts of traces
                max_export_batch_size=AT_ONCE,
            )
        )
        self._tracer = self._provider.get_tracer("vigil", metadata.version("vigil"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, as soon as the collector has what waits, and in any case soon."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def leave() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for it
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=leave, name="traces-leave", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), LEAVE_S)

    def frame(self, root: Span, parts: Sequence[Span]) -> None:
        """Write a trace of its own: a root and its parts."""
        if self._has_room(1 + len(parts)):
            within = self._write(root, Context())
            for part in parts:
                self._write(part, within)

    def call(
        self,
        *,
        service: str,
        method: str,
        code: str,
        duration_s: float,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> None:
        """A call ended just now (see `vigil.api.calls.CallTracer`).

        Its client's trace goes on where that is sampled; a call without one, and one of somebody unknown,
        is drawn by lot.
        """
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        context = TraceContextTextMapPropagator().extract(carrier, Context())
        parent = get_current_span(context).get_span_context()
        if not parent.is_valid or code == "UNAUTHENTICATED":
            context = Context()
            sampled = random.random() < self._config.sample_ratio
        else:
            sampled = parent.trace_flags.sampled
        if not sampled or not self._has_room(1):
            return
        ended_s = self._clock.utc_s()
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "rpc.grpc.status": code,
        }
        failed = code in ("INTERNAL", "UNKNOWN")
        span = Span(
            f"{service}/{method}", ended_s - duration_s, ended_s, dict(attributes), failed=failed
        )
        self._write(span, context, kind=SpanKind.SERVER)

    def _has_room(self, spans: int) -> bool:
        if self._written + spans - self._exporter.taken > MOST_WAITING:
            self._count("no_room", spans)
            return False
        return True

    def _write(
        self, span: Span, context: Context, *, kind: SpanKind = SpanKind.INTERNAL
    ) -> Context:
        """Write one span; returns the context of spans within it."""
        made = self._tracer.start_span(
            REDACTOR.text(span.name),
            context=context,
            kind=kind,
            attributes={name: REDACTOR.value(value) for name, value in span.attributes.items()},
            start_time=_ns(span.began_s),
        )
        if span.failed:
            made.set_status(Status(StatusCode.ERROR))
        made.end(end_time=_ns(span.ended_s))
        self._written += 1
        return set_span_in_context(made, context)


class _Counting(SpanExporter):
    """An exporter that counts what became of spans; its thread calls it."""

    def __init__(self, exporter: SpanExporter, count: Count) -> None:
        self._exporter = exporter
        self._count = count
        self.taken = 0  # spans that do not wait any more

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.taken += len(spans)
            done = result is SpanExportResult.SUCCESS
            self._count("exported" if done else "failed", len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exporter(config: TracesConfig) -> SpanExporter:
    if config.protocol == "grpc":
        return GrpcExporter(endpoint=config.endpoint, timeout=EXPORT_TIMEOUT_S)
    parts = urlsplit(config.endpoint)
    url = parts._replace(path="/v1/traces").geturl() if parts.path in ("", "/") else config.endpoint
    return HttpExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)


def _remember_headers(text: str) -> None:
    """No log line and no span shows what the collector is sent as a login."""
    for header in text.split(","):
        value = unquote(header.partition("=")[2]).strip()
        for secret in (value, value.rpartition(" ")[2]):  # Basic and Bearer are none
            REDACTOR.remember(secret)


def _ns(utc_s: float) -> int:
    return round(utc_s * 1e9)

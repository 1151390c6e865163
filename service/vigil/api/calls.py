"""What is the same around every call: errors become statuses, and each call is counted and timed."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc_status import rpc_status

from vigil.api.errors import status_of
from vigil.api.guard import CALLER, Caller, Guard, StreamOf
from vigil.clock import Clock
from vigil.errors import Forbidden, Unauthenticated, VigilError

_log = structlog.get_logger()

# A deadline travels in two to three digits, rounded up: 3.005 s arrive as 3.01 s, 25.01 s as 25.1 s.
# The client keeps to its own, and is gone by then.
DEADLINE_ROUNDING = 0.01


class UnreadableMessage(VigilError):
    """A request that does not parse."""

    code = "INVALID_ARGUMENT"


class CallObserver(Protocol):
    """Who is told of each finished call: the metrics."""

    def call_handled(self, *, service: str, method: str, code: str, duration_s: float) -> None:
        """A call ended with the status code of that name."""


class CallTracer(Protocol):
    """Who makes spans of finished calls."""

    def call(
        self,
        *,
        service: str,
        method: str,
        code: str,
        duration_s: float,
        metadata: Iterable[tuple[str, str | bytes]],
    ) -> None:
        """A call ended just now; its metadata may name the trace that it is part of."""


class _Outcome:
    """The status code that a call is counted under."""

    def __init__(self) -> None:
        self.code = "OK"


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in stubs only
    """Stands around every handler of the server.

    A VigilError ends its call with its own status; anything else that is raised ends it with INTERNAL
    and no text, since the text could hold a credential: that goes to the log with its trace.
    """

    def __init__(
        self,
        *,
        observer: CallObserver,
        clock: Clock,
        guard: Guard,
        stream_of: StreamOf,
        tracer: CallTracer | None = None,
    ) -> None:
        """``stream_of`` knows the stream of an event's episode."""
        self._tracer = tracer
        self._guard = guard
        self._stream_of = stream_of
        self._observer = observer
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a known method; an unknown one is grpc's to refuse."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        path, serialize = handler_call_details.method, handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._answer(path, handler), response_serializer=serialize
            )
        if not inspect.isasyncgenfunction(handler.unary_stream or handler.stream_stream):
            # Of grpc's own services, which write by themselves: judged before they begin.
            try:
                self._guard.admit(path, handler_call_details.invocation_metadata)
            except VigilError as error:
                return _refusing(error, handler)
            return handler
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.unary_stream
            else grpc.stream_stream_rpc_method_handler
        )
        return make(self._answers(path, handler), response_serializer=serialize)

    def _answer(self, path: str, handler: Any) -> Callable[[bytes, Any], Awaitable[Any]]:
        async def answer(request: bytes, context: Any) -> Any:
            with self._observed(path, context) as outcome:
                try:
                    caller = self._admit(path, context)
                    message = _read(handler, request)
                    self._guard.check_request(path, caller, message)
                    await self._guard.check_episode(path, caller, message, self._stream_of)
                    response = await handler.unary_unary(message, context)
                    self._note_change(path, caller, message)
                    return self._guard.shown(path, caller, response)
                except Exception as error:
                    await _abort(error, context, outcome, path)

        return answer

    def _answers(self, path: str, handler: Any) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def answers(given: Any, context: Any) -> AsyncIterator[Any]:
            with self._observed(path, context) as outcome:
                try:
                    caller = self._admit(path, context)

                    def read(request: bytes) -> Any:
                        message = _read(handler, request)
                        self._guard.check_request(path, caller, message)
                        return message

                    if handler.unary_stream:
                        called = handler.unary_stream(read(given), context)
                    else:
                        requests = (read(request) async for request in given)
                        called = handler.stream_stream(requests, context)
                    async with aclosing(called) as responses:
                        async for response in responses:
                            shown = self._guard.shown(path, caller, response)
                            if shown is not None:
                                yield shown
                except Exception as error:
                    await _abort(error, context, outcome, path)

        return answers

    def _note_change(self, path: str, caller: Caller, request: Any) -> None:
        """Who changed which stream: the record that a site may have to show."""
        stream_id = self._guard.changed_stream(path, request)
        if stream_id:
            method = path.rpartition("/")[2]
            _log.info("changed", rpc=method, stream_id=stream_id, by=caller.name or "anyone")

    def _admit(self, path: str, context: Any) -> Caller:
        caller = self._guard.admit(path, context.invocation_metadata())
        CALLER.set(caller)
        return caller

    @contextmanager
    def _observed(self, path: str, context: Any) -> Iterator[_Outcome]:
        outcome = _Outcome()
        start_s = self._clock.monotonic_s()
        try:
            yield outcome
        except (asyncio.CancelledError, GeneratorExit):
            waited_s = self._clock.monotonic_s() - start_s
            outcome.code = _code_of_end(context.time_remaining(), waited_s=waited_s)
            raise
        finally:
            service, _, method = path.removeprefix("/").rpartition("/")
            duration_s = self._clock.monotonic_s() - start_s
            self._observer.call_handled(
                service=service, method=method, code=outcome.code, duration_s=duration_s
            )
            if self._tracer is not None:
                self._tracer.call(
                    service=service,
                    method=method,
                    code=outcome.code,
                    duration_s=duration_s,
                    metadata=context.invocation_metadata() or (),
                )


def _code_of_end(remaining_s: float | None, *, waited_s: float) -> str:
    """What a call that its client ended is counted under, ``remaining_s`` before its deadline."""
    if remaining_s is None or remaining_s > DEADLINE_ROUNDING * (waited_s + remaining_s):
        return "CANCELLED"
    return "DEADLINE_EXCEEDED"


def _refusing(error: VigilError, handler: Any) -> Any:
    """A handler that answers every call with an error."""

    async def refuse(request: Any, context: Any) -> None:
        answer = rpc_status.to_status(status_of(error))
        await context.abort(answer.code, answer.details, answer.trailing_metadata)

    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(refuse)
    return grpc.stream_stream_rpc_method_handler(refuse)


def _read(handler: Any, request: bytes) -> Any:
    """The message in bytes. Done here, since grpc would answer UNKNOWN with the parser's own text."""
    try:
        return handler.request_deserializer(request)
    except DecodeError:
        raise UnreadableMessage(
            "the request is no message of this method; is the client's vigil.v1 another one?"
        ) from None


async def _abort(error: Exception, context: Any, outcome: _Outcome, path: str) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        outcome.code = context.code().name
        raise error
    if isinstance(error, VigilError):
        status = status_of(error)
        outcome.code = error.code
        if isinstance(error, Forbidden | Unauthenticated):
            who = CALLER.get().name if isinstance(error, Forbidden) else ""
            _log.warning("call_refused", rpc=path, code=error.code, by=who)
    else:
        _log.error("call_failed", rpc=path, exc_info=error)
        status = status_pb2.Status(
            code=grpc.StatusCode.INTERNAL.value[0],
            message="the service failed; its log has the reason",
        )
        outcome.code = "INTERNAL"
    answer = rpc_status.to_status(status)
    await context.abort(answer.code, answer.details, answer.trailing_metadata)
    raise AssertionError("abort raises")

"""The little of a gRPC client that vigil's own tools share."""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from vigil.api.convert import spec_message
from vigil.api.login import Login
from vigil.errors import Unavailable
from vigil.spec import StreamSpec
from vigil.v1 import streams_pb2, streams_pb2_grpc

CALL_TIMEOUT_S = 30.0
NOTHING = Login()  # to show: on this machine, without tokens


class StreamClient:
    """Streams of a running service. Calls raise grpc.aio.AioRpcError."""

    def __init__(self, address: str, login: Login = NOTHING) -> None:
        self._login = login
        self._channel = login.aio_channel(address)
        self._streams = streams_pb2_grpc.StreamServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close(None)

    async def add(self, spec: StreamSpec) -> None:
        """Register and start a stream."""
        request = streams_pb2.AddStreamRequest(spec=spec_message(spec))
        await self._streams.AddStream(
            request, timeout=CALL_TIMEOUT_S, metadata=self._login.metadata
        )

    async def remove(self, stream_id: str) -> None:
        """Stop a stream; when this returns, its last events are with the service."""
        request = streams_pb2.RemoveStreamRequest(stream_id=stream_id)
        await self._streams.RemoveStream(
            request, timeout=CALL_TIMEOUT_S, metadata=self._login.metadata
        )

    async def watch(self, *stream_ids: str) -> AsyncGenerator[streams_pb2.Stream]:
        """Streams as they are, then as they change; the service forgets the watch when this is closed."""
        request = streams_pb2.WatchStreamsRequest(stream_ids=stream_ids)
        call = self._streams.WatchStreams(request, metadata=self._login.metadata)
        try:
            async for answer in call:
                yield answer.stream
        finally:
            call.cancel()  # else it goes on until the garbage collector finds it


async def wait_serving(address: str, *, timeout_s: float, login: Login = NOTHING) -> None:
    """Wait until a service says that it is SERVING: its model is warm. Raises Unavailable."""

    async def watch() -> None:
        async with login.aio_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            call = stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            async for answer in call:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return

    try:
        await asyncio.wait_for(watch(), timeout_s)
    except (TimeoutError, grpc.aio.AioRpcError) as error:
        raise Unavailable(
            f"the service at {address} was not ready in {timeout_s:g} s; see what it logged"
        ) from error

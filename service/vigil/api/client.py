"""The little of a gRPC client that vigil's own tools share."""

import asyncio

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from vigil.errors import Unavailable


async def wait_serving(address: str, *, timeout_s: float) -> None:
    """Wait until a service says that it is SERVING: its model is warm. Raises Unavailable."""

    async def watch() -> None:
        async with grpc.aio.insecure_channel(address) as channel:
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

import asyncio
import contextlib
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.unit.api.loopback import Site
from tests.unit.api.test_stream_service import add
from vigil.api.server import CALLS_SHARE, SERVICES
from vigil.errors import InvalidConfig
from vigil.v1 import analysis_pb2, events_pb2, streams_pb2
from vigil.v1.analysis_pb2_grpc import AnalysisServiceStub
from vigil.v1.events_pb2_grpc import EventServiceStub
from vigil.v1.streams_pb2_grpc import StreamServiceStub

Code = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_all_services_of_the_contract_are_there() -> None:
    assert SERVICES == (
        "vigil.v1.StreamService",
        "vigil.v1.EventService",
        "vigil.v1.AnalysisService",
        "vigil.v1.SnapshotService",
    )


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_health_is_serving_only_when_told(site: Site, name: str) -> None:
    stub = health_pb2_grpc.HealthStub(site.channel)
    request = health_pb2.HealthCheckRequest(service=name)
    assert (await stub.Check(request)).status == NOT_SERVING
    await site.server.set_serving(True)
    assert (await stub.Check(request)).status == SERVING
    await site.server.set_serving(False)
    assert (await stub.Check(request)).status == NOT_SERVING


async def test_health_can_be_watched_and_unknown_names_are_not_found(site: Site) -> None:
    stub = health_pb2_grpc.HealthStub(site.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == NOT_SERVING
    await site.server.set_serving(True)
    assert (await watch.read()).status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="none"))
    assert caught.value.code() is Code.NOT_FOUND


async def test_reflection_is_there_only_when_configured(open_site: Any) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with open_site() as closed:
        # nothing is written: gRPC says INTERNAL to a client that is refused while it writes
        call = reflection_pb2_grpc.ServerReflectionStub(closed.channel).ServerReflectionInfo()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is Code.UNIMPLEMENTED
    async with open_site(reflection=True) as site:
        stub = reflection_pb2_grpc.ServerReflectionStub(site.channel)
        call = stub.ServerReflectionInfo(iter([request]))
        listed = (await call.read()).list_services_response.service
        assert set(SERVICES) < {service.name for service in listed}
        for name in SERVICES:
            describe = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
            call = stub.ServerReflectionInfo(iter([describe]))
            assert (await call.read()).file_descriptor_response.file_descriptor_proto


async def test_an_unexpected_failure_is_internal_and_tells_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AnalysisServiceStub(site.channel).DetectImage(
            analysis_pb2.DetectImageRequest(image=b"crash")
        )
    assert caught.value.code() is Code.INTERNAL
    assert "secret" not in str(caught.value.details()) + str(caught.value.trailing_metadata())
    assert "secret text" in capsys.readouterr().out  # its trace is in the log


async def test_calls_are_counted_under_their_code(site: Site) -> None:
    stub = StreamServiceStub(site.channel)
    await add(site)
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.GetStream(streams_pb2.GetStreamRequest(stream_id="none"))
    watch = stub.WatchStreams(streams_pb2.WatchStreamsRequest())
    await watch.read()
    watch.cancel()
    # 1.01 s as gRPC rounds it for the server: the client is gone before that
    expired = stub.WatchStreams(streams_pb2.WatchStreamsRequest(), timeout=1.005)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in expired:
            pass
    assert caught.value.code() is Code.DEADLINE_EXCEEDED
    service = "vigil.v1.StreamService"
    expected = {
        (service, "AddStream", "OK"),
        (service, "GetStream", "NOT_FOUND"),
        (service, "WatchStreams", "CANCELLED"),
        (service, "WatchStreams", "DEADLINE_EXCEEDED"),
    }
    async with asyncio.timeout(10):
        while set(site.counts.calls) != expected:
            await asyncio.sleep(0.01)


async def test_a_message_above_the_limit_is_refused_and_the_service_goes_on(open_site: Any) -> None:
    async with open_site(max_message_bytes=64 * 1024) as site:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await AnalysisServiceStub(site.channel).DetectImage(
                analysis_pb2.DetectImageRequest(image=bytes(100 * 1024))
            )
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        await add(site)


async def test_watches_beyond_the_limit_are_refused_until_one_ends(open_site: Any) -> None:
    async with open_site(max_watchers=2) as site:
        await add(site)
        streams, events = StreamServiceStub(site.channel), EventServiceStub(site.channel)
        first = streams.WatchStreams(streams_pb2.WatchStreamsRequest())
        second = streams.WatchStreams(streams_pb2.WatchStreamsRequest())
        await first.read()
        await second.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await events.WatchEvents(events_pb2.WatchEventsRequest()).read()
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert "grpc.max_watchers" in (caught.value.details() or "")
        first.cancel()
        async with asyncio.timeout(10):
            while not any(code == "CANCELLED" for _, _, code in site.counts.calls):
                await asyncio.sleep(0.01)
        third = streams.WatchStreams(streams_pb2.WatchStreamsRequest())
        await third.read()


async def test_leaving_ends_watches_at_once_and_lets_calls_finish(open_site: Any) -> None:
    async with open_site(grace_s=40.0) as site:
        await add(site)
        watch = StreamServiceStub(site.channel).WatchStreams(streams_pb2.WatchStreamsRequest())
        await watch.read()
        push = AnalysisServiceStub(site.channel).AnalyzeFrames()
        await push.write(
            analysis_pb2.AnalyzeFramesRequest(
                stream=streams_pb2.StreamSpec(
                    stream_id="push", source=streams_pb2.Source(uri="push:")
                )
            )
        )
        while not site.fleet.sessions:
            await asyncio.sleep(0)
        start_s = asyncio.get_running_loop().time()
        await site.server.__aexit__(None, None, None)
        assert asyncio.get_running_loop().time() - start_s < CALLS_SHARE * 40.0, (
            "grace was waited for"
        )
        for call in (watch, push):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is Code.UNAVAILABLE
            assert "stopping" in (caught.value.details() or "")
        assert site.fleet.sessions[0].closed.is_set()


async def test_an_address_that_is_taken_is_a_start_up_error(site: Site, open_site: Any) -> None:
    with pytest.raises(InvalidConfig, match="cannot be listened on"):
        async with open_site(address=site.server.address):
            pass


async def test_random_bytes_do_not_disturb_the_service(site: Site) -> None:
    host, _, port = site.server.address.rpartition(":")
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 64,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(junk)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    await add(site)


async def test_a_request_that_is_no_message_is_refused(site: Site) -> None:
    call = site.channel.unary_unary(
        "/vigil.v1.StreamService/AddStream", request_serializer=None, response_deserializer=None
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff\xff")
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert site.counts.calls == [("vigil.v1.StreamService", "AddStream", "INVALID_ARGUMENT")]
    await add(site)


async def test_a_pushed_request_that_is_no_message_is_refused(site: Site) -> None:
    call = site.channel.stream_stream(
        "/vigil.v1.AnalysisService/AnalyzeFrames",
        request_serializer=None,
        response_deserializer=None,
    )()
    await call.write(b"\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is Code.INVALID_ARGUMENT


def lone_channel(site: Any) -> grpc.aio.Channel:
    """A channel that shares no connection with others."""
    return grpc.aio.insecure_channel(
        site.server.address, options=(("grpc.use_local_subchannel_pool", 1),)
    )


async def test_connections_beyond_the_limit_are_closed_until_one_ends(open_site: Any) -> None:
    async with open_site(max_connections=3) as site, contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(lone_channel(site)) for _ in range(4)]
        listing = streams_pb2.ListStreamsRequest()
        for channel in channels[:3]:
            await StreamServiceStub(channel).ListStreams(listing, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await StreamServiceStub(channels[3]).ListStreams(listing, timeout=10)
        assert caught.value.code() is Code.UNAVAILABLE
        await StreamServiceStub(channels[0]).ListStreams(listing, timeout=10)
        await channels[1].close()
        async with asyncio.timeout(20):
            while True:
                async with lone_channel(site) as late:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        await StreamServiceStub(late).ListStreams(listing, timeout=5)
                        break


async def test_calls_beyond_the_limit_of_a_connection_wait(open_site: Any) -> None:
    async with open_site(max_concurrent_streams=2) as site:
        await add(site)
        stub = StreamServiceStub(site.channel)
        watches = [stub.WatchStreams(streams_pb2.WatchStreamsRequest()) for _ in range(2)]
        for watch in watches:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListStreams(streams_pb2.ListStreamsRequest(), timeout=0.3)
        assert caught.value.code() is Code.DEADLINE_EXCEEDED
        watches[0].cancel()
        await stub.ListStreams(streams_pb2.ListStreamsRequest(), timeout=10)

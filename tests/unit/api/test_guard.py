"""Every RPC by every role and tenant: the table is written out here, the calls come from the descriptors."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog.testing
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from tests.unit.api.memory_fleet import an_event
from vigil.api.guard import RULES, Caller, Guard
from vigil.api.server import Security
from vigil.spec import Source, StreamSpec
from vigil.store.tokens import Role, TokenFile
from vigil.v1 import analysis_pb2, events_pb2, snapshots_pb2, streams_pb2

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in (streams_pb2, events_pb2, analysis_pb2, snapshots_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
# The least role, and what a tenant may: its own streams, what is listed of them, anything.
EXPECTED = {
    "/vigil.v1.StreamService/AddStream": (ADMIN, "own"),
    "/vigil.v1.StreamService/UpdateStream": (ADMIN, "own"),
    "/vigil.v1.StreamService/RemoveStream": (ADMIN, "own"),
    "/vigil.v1.StreamService/GetStream": (VIEWER, "own"),
    "/vigil.v1.StreamService/ListStreams": (VIEWER, "listed"),
    "/vigil.v1.StreamService/WatchStreams": (VIEWER, "listed"),
    "/vigil.v1.StreamService/GetBaseline": (VIEWER, "own"),
    "/vigil.v1.EventService/WatchEvents": (VIEWER, "listed"),
    "/vigil.v1.EventService/ListEvents": (VIEWER, "listed"),
    "/vigil.v1.EventService/ReportVerdict": (OPERATOR, "own"),
    "/vigil.v1.EventService/ListVerdicts": (VIEWER, "listed"),
    "/vigil.v1.AnalysisService/DetectImage": (OPERATOR, "anything"),
    "/vigil.v1.AnalysisService/ClassifyImage": (OPERATOR, "anything"),
    "/vigil.v1.AnalysisService/AnalyzeFrames": (OPERATOR, "own"),
    "/vigil.v1.SnapshotService/GetSnapshot": (VIEWER, "own"),
    "/vigil.v1.SnapshotService/GetEventSnapshot": (VIEWER, "own"),
    "/vigil.v1.SnapshotService/ExplainDetection": (VIEWER, "own"),
}
TENANTS: dict[str, tuple[str, ...]] = {"all": (), "theirs": ("a-",), "others": ("b-",)}
REFUSED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
STREAM = "a-gate"
LET_IN_S = 3.0  # a watch that is refused is refused before, one that is let in lasts


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path)


@pytest.fixture
async def guarded(open_site: Any, tokens: TokenFile) -> AsyncIterator[Any]:
    tokens.add("first", role=Role.ADMIN, prefixes=())
    async with open_site(security=Security(guard=Guard(tokens)), reflection=True) as site:
        await site.outbox.append([an_event(stream_id=STREAM)])
        yield site


def test_every_rpc_of_the_contract_has_an_expected_outcome() -> None:
    assert set(EXPECTED) == set(METHODS) == set(RULES)


def test_a_call_that_no_rule_names_is_nobodys(tokens: TokenFile) -> None:
    secret = tokens.add("chief", role=Role.ADMIN, prefixes=())
    with pytest.raises(Exception, match="needs a token of role no"):
        Guard(tokens).admit("/vigil.v1.New/Call", [("authorization", f"Bearer {secret}")])


def request_for(path: str) -> Any:
    """A request about STREAM, wherever its message has room for an id."""
    message = message_factory.GetMessageClass(METHODS[path].input_type)()
    fields = METHODS[path].input_type.fields_by_name
    if "stream_id" in fields:
        message.stream_id = STREAM
    for name in ("spec", "stream"):
        if name in fields:
            getattr(message, name).stream_id = STREAM
    if "episode_id" in fields:
        message.episode_id = an_event().episode_id  # happened on STREAM
    if "verdict" in fields:
        message.verdict.episode_id = an_event().episode_id  # happened on STREAM
    return message


async def code_of(site: Any, path: str, metadata: Any) -> grpc.StatusCode:
    """The status of a call; of one that lasts, OK as soon as it is let in."""
    method, serialize = METHODS[path], lambda message: message.SerializeToString()
    request = request_for(path)
    try:
        if method.client_streaming:
            call = site.channel.stream_stream(path, serialize)(metadata=metadata, timeout=10)
            try:
                await call.write(request)
                await call.done_writing()
            except grpc.aio.AioRpcError:  # refused while it wrote: gRPC then says INTERNAL for it
                return await code_of(site, path, metadata)
            async for _ in call:
                break
        elif method.server_streaming:
            call = site.channel.unary_stream(path, serialize)(
                request, metadata=metadata, timeout=LET_IN_S
            )
            async for _ in call:
                break
        else:
            call = site.channel.unary_unary(path, serialize)
            await call(request, metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("path", METHODS)
async def test_each_role_and_tenant_gets_what_the_table_says(
    guarded: Any, tokens: TokenFile, path: str
) -> None:
    least, tenant_may = EXPECTED[path]
    calls, wanted = {}, {}
    for role, (tenant, prefixes) in itertools.product(Role, TENANTS.items()):
        secret = tokens.add(f"{role}-{tenant}", role=role, prefixes=prefixes)
        calls[role, tenant] = code_of(guarded, path, (("authorization", f"Bearer {secret}"),))
        allowed = tenant == "all" or tenant_may in ("listed", "anything")
        allowed |= tenant == "theirs" and tenant_may == "own"
        wanted[role, tenant] = not (role.includes(least) and allowed)
    codes = await asyncio.gather(*calls.values())
    assert {who: code in REFUSED for who, code in zip(calls, codes, strict=True)} == wanted


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer vigil_wrong"),),
        (("authorization", "Basic dTpw"),),
        (("authorization", "Bearer a"), ("authorization", "Bearer b")),
        (("token", "x"),),
    ],
)
async def test_nobody_calls_without_a_token(guarded: Any, path: str, metadata: Any) -> None:
    assert await code_of(guarded, path, metadata) is grpc.StatusCode.UNAUTHENTICATED


async def test_changes_and_refusals_are_on_record(guarded: Any, tokens: TokenFile) -> None:
    chief = tokens.add("chief", role=Role.ADMIN, prefixes=())
    viewer = tokens.add("wall", role=Role.VIEWER, prefixes=())
    spec = streams_pb2.StreamSpec(stream_id=STREAM, source={"uri": "rtsp://h/"})
    request, stub = streams_pb2.AddStreamRequest(spec=spec), streams(guarded)
    with structlog.testing.capture_logs() as lines:
        await stub.AddStream(request, metadata=(("authorization", f"Bearer {chief}"),), timeout=5)
        for secret in (viewer, "wrong"):
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.AddStream(
                    request, metadata=(("authorization", f"Bearer {secret}"),), timeout=5
                )
    record = [(line["event"], line.get("by"), line.get("code")) for line in lines]
    assert record[0] == ("changed", "chief", None)
    assert [code for _, _, code in record[1:]] == ["PERMISSION_DENIED", "UNAUTHENTICATED"]
    assert lines[0]["stream_id"] == STREAM
    assert chief not in str(lines)


async def test_health_is_open_and_reflection_is_not(guarded: Any) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2_grpc

    health = health_pb2_grpc.HealthStub(guarded.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=5)).status
    # nothing is written: gRPC says INTERNAL to a client that is refused while it writes
    call = reflection_pb2_grpc.ServerReflectionStub(guarded.channel).ServerReflectionInfo(timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_tenant_sees_its_own_streams_on_every_page(guarded: Any, tokens: TokenFile) -> None:
    for name in ("a-1", "b-1", "a-2", "b-2", "b-3", "a-3", "c-1"):
        await guarded.fleet.add(StreamSpec(stream_id=name, source=Source(uri="rtsp://h/")))
    secret = tokens.add("site-b", role=Role.VIEWER, prefixes=("b-",))
    metadata = (("authorization", f"Bearer {secret}"),)
    stub, seen, token = streams(guarded), [], ""
    while True:
        request = streams_pb2.ListStreamsRequest(page_size=2, page_token=token)
        page = await stub.ListStreams(request, metadata=metadata, timeout=5)
        seen += [stream.spec.stream_id for stream in page.streams]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["b-1", "b-2", "b-3"]
    watch = stub.WatchStreams(streams_pb2.WatchStreamsRequest(), metadata=metadata, timeout=5)
    watched = {(await watch.read()).stream.spec.stream_id for _ in range(3)}
    watch.cancel()
    assert watched == {"b-1", "b-2", "b-3"}


def streams(site: Any) -> Any:
    from vigil.v1 import streams_pb2_grpc

    return streams_pb2_grpc.StreamServiceStub(site.channel)


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/vigil.v1.EventService/WatchEvents", lambda e: events_pb2.WatchEventsResponse(event=e)),
        ("/vigil.v1.EventService/ListEvents", lambda e: events_pb2.ListEventsResponse(events=[e])),
        (
            "/vigil.v1.EventService/ListVerdicts",
            lambda e: events_pb2.ListVerdictsResponse(
                verdicts=[events_pb2.Verdict(stream_id=e.stream_id, event=e)]
            ),
        ),
    ],
)
def test_events_of_other_tenants_are_left_out(path: str, make: Callable[[Any], Any]) -> None:
    caller = Caller("a", Role.VIEWER, ("a-",))
    mine, theirs = (make(events_pb2.Event(stream_id=name)) for name in ("a-1", "b-1"))
    assert "a-1" in str(Guard().shown(path, caller, mine))
    assert "b-1" not in str(Guard().shown(path, caller, theirs))


@pytest.mark.parametrize(
    ("path", "make"),
    [
        (
            "/vigil.v1.EventService/ReportVerdict",
            lambda episode_id: events_pb2.ReportVerdictRequest(
                verdict=events_pb2.Verdict(episode_id=episode_id, value=events_pb2.Verdict.WRONG)
            ),
        ),
        (
            "/vigil.v1.SnapshotService/GetEventSnapshot",
            lambda episode_id: snapshots_pb2.GetEventSnapshotRequest(episode_id=episode_id),
        ),
    ],
)
async def test_a_tenant_learns_nothing_of_episodes_that_are_not_its_own(
    guarded: Any, tokens: TokenFile, path: str, make: Callable[[str], Any]
) -> None:
    secret = tokens.add("site-b", role=Role.OPERATOR, prefixes=("b-",))
    answers = []
    for episode_id in (an_event().episode_id, "0" * 32):
        call = guarded.channel.unary_unary(path, lambda message: message.SerializeToString())
        request = make(episode_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=(("authorization", f"Bearer {secret}"),), timeout=10)
        answers.append((refused.value.code(), refused.value.details()))
    assert answers[0] == answers[1]

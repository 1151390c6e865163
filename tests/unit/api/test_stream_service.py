import math
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.unit.api.loopback import Site
from vigil.data import OfflineReason
from vigil.v1 import geometry_pb2, rules_pb2
from vigil.v1 import streams_pb2 as pb
from vigil.v1.streams_pb2_grpc import StreamServiceStub

Code = grpc.StatusCode


def point(x: float, y: float) -> geometry_pb2.Point:
    return geometry_pb2.Point(x=x, y=y)


SQUARE = [point(0.1, 0.1), point(0.9, 0.1), point(0.9, 0.9)]


def zone(**changes: Any) -> rules_pb2.Rule:
    polygon = changes.pop("polygon", SQUARE)
    return rules_pb2.Rule(rule_id="yard", zone=rules_pb2.ZoneRule(polygon=polygon, **changes))


def spec(**changes: Any) -> pb.StreamSpec:
    fields: dict[str, Any] = {
        "stream_id": "gate",
        "source": pb.Source(uri="rtsp://camera.example/live"),
        "rules": [zone()],
        **changes,
    }
    return pb.StreamSpec(**fields)


def fields_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Field and description of each violation that an error carries."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    assert status.message == error.details()
    request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(request)
    return {one.field: one.description for one in request.field_violations}


async def add(site: Site, **changes: Any) -> pb.Stream:
    request = pb.AddStreamRequest(spec=spec(**changes))
    return (await StreamServiceStub(site.channel).AddStream(request)).stream


async def refused(site: Site, **changes: Any) -> dict[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(site, **changes)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert not site.fleet.streams
    return fields_of(caught.value)


async def test_a_stream_is_added_with_defaults_filled_in(site: Site) -> None:
    stream = await add(site)
    assert stream.generation == 1
    assert stream.spec.enabled
    assert stream.spec.detect_fps == 5.0
    assert stream.spec.priority == 1
    assert stream.spec.source.pace == pb.Source.REAL_TIME
    assert stream.spec.source.backend == pb.Source.OPENCV
    assert stream.spec.rules[0].zone.update_interval.seconds == 10
    assert stream.spec.rules[0].zone.hysteresis == 0.01
    assert stream.status.state == pb.StreamStatus.CONNECTING
    assert stream.status.since.seconds == 1_750_000_000


async def test_every_field_comes_back_as_it_was_given(site: Site) -> None:
    given = spec(
        source=pb.Source(
            uri="http://camera.example/mjpeg",
            pace=pb.Source.FAST,
            loop=True,
            folder_fps=2.5,
            backend=pb.Source.OPENCV,
        ),
        enabled=False,
        detect_fps=12.5,
        priority=3,
        model="vigil-det-n",
        classes=["person", "car"],
        min_score=0.5,
        rules=[
            zone(
                dwell=Duration(seconds=1, nanos=500_000_000),
                update_interval=Duration(seconds=2),
                hysteresis=0.0,
            ),
            rules_pb2.Rule(
                rule_id="door",
                classes=["person"],
                min_score=0.25,
                line=rules_pb2.LineRule(
                    points=SQUARE, direction=rules_pb2.LineRule.LEFT, hysteresis=0.125
                ),
            ),
            rules_pb2.Rule(
                rule_id="all", track=rules_pb2.TrackRule(update_interval=Duration(seconds=3))
            ),
            rules_pb2.Rule(rule_id="mark", marker=rules_pb2.MarkerRule()),
        ],
        privacy_masks=[geometry_pb2.Polygon(points=SQUARE)],
        labels={"site": "north"},
    )
    stream = await add(site, **{field.name: value for field, value in given.ListFields()})
    assert stream.spec == given
    assert stream.status.state == pb.StreamStatus.DISABLED


async def test_the_same_twice_is_success_and_another_is_not(site: Site) -> None:
    first = await add(site)
    assert await add(site) == first
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(site, detect_fps=10.0)
    assert caught.value.code() is Code.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stream_id": ""}, "spec.stream_id"),
        ({"stream_id": "Gate/1"}, "spec.stream_id"),
        ({"stream_id": "g" * 64}, "spec.stream_id"),
        ({"detect_fps": math.nan}, "spec.detect_fps"),
        ({"detect_fps": -1.0}, "spec.detect_fps"),
        ({"priority": 11}, "spec.priority"),
        ({"model": "../../etc"}, "spec.model"),
        ({"min_score": 1.5}, "spec.min_score"),
        ({"classes": [""]}, "spec.classes"),
        ({"classes": ["person", "Car"]}, "spec.classes[1]"),
        (
            {
                "rules": [
                    rules_pb2.Rule(rule_id="t", classes=["persn"], track=rules_pb2.TrackRule())
                ]
            },
            "spec.rules[0].classes[0]",
        ),
        (
            {"second_stages": [pb.SecondStage(classifier="colour", classes=["van"])]},
            "spec.second_stages[0].classes[0]",
        ),
        (
            {"rules": [rules_pb2.Rule(rule_id="d", direction={"from": point(0.5, 0.5)})]},
            "spec.rules[0].direction.to",
        ),
        (
            {"privacy_masks": [geometry_pb2.Polygon(points=[SQUARE[0]] * 3)]},
            "spec.privacy_masks[0].points",
        ),
        ({"labels": {"k": "v" * 2000}}, "spec.labels"),
        ({"rules": [zone(polygon=SQUARE[:2])]}, "spec.rules[0].zone.polygon"),
        (
            {"rules": [zone(polygon=[point(math.nan, 0), *SQUARE])]},
            "spec.rules[0].zone.polygon[0].x",
        ),
        ({"rules": [zone(polygon=[*SQUARE, point(0.5, 1.1)])]}, "spec.rules[0].zone.polygon[3].y"),
        ({"rules": [zone(polygon=[SQUARE[0]] * 3)]}, "spec.rules[0].zone.polygon"),
        ({"rules": [zone(dwell=Duration(seconds=-1))]}, "spec.rules[0].zone.dwell"),
        ({"rules": [zone(update_interval=Duration())]}, "spec.rules[0].zone.update_interval"),
        ({"rules": [zone(hysteresis=0.5)]}, "spec.rules[0].zone.hysteresis"),
        ({"rules": [zone(), zone()]}, "spec.rules[1].rule_id"),
        ({"rules": [rules_pb2.Rule(rule_id="bare")]}, "spec.rules[0]"),
        ({"privacy_masks": [geometry_pb2.Polygon()]}, "spec.privacy_masks[0].points"),
        ({"source": pb.Source()}, "spec.source.uri"),
        ({"source": pb.Source(uri="ftp://camera.example/x")}, "spec.source.uri"),
        ({"source": pb.Source(uri="/etc/passwd")}, "spec.source.uri"),
        ({"source": pb.Source(uri="file:///etc/passwd")}, "spec.source.uri"),
        ({"source": pb.Source(uri="rtsp://169.254.169.254/")}, "spec.source.uri"),
        ({"source": pb.Source(uri="push:", folder_fps=math.inf)}, "spec.source.folder_fps"),
    ],
)
async def test_what_the_request_shows_to_be_wrong_is_refused_with_its_field(
    site: Site, changes: dict[str, Any], field: str
) -> None:
    assert field in await refused(site, **changes)


async def test_all_wrong_fields_are_named_at_once_within_what_a_trailer_holds(site: Site) -> None:
    wrong = [point(math.nan, math.nan)] * 64
    named = await refused(
        site, rules=[zone(polygon=wrong)] * 64, labels={"ü" * 200: "x"}, stream_id="Ü" * 500
    )
    assert "spec.stream_id" in named
    assert len(named) == 10


async def test_a_path_within_the_roots_is_taken_though_nothing_is_there(
    site: Site, videos: Path
) -> None:
    stream = await add(site, source=pb.Source(uri=f"file://{videos}/missing.mp4"))
    assert stream.spec.source.uri == f"file://{videos}/missing.mp4"


async def test_a_second_stage_is_kept_and_shown(site: Site) -> None:
    stages = [
        pb.SecondStage(classifier="vigil-vehicle-type", classes=["car", "truck"]),
        pb.SecondStage(classifier="colour"),
    ]
    stream = await add(site, second_stages=stages)
    assert list(stream.spec.second_stages) == stages
    held = site.fleet.get("gate").spec.second_stages
    assert [(stage.classifier, stage.classes) for stage in held] == [
        ("vigil-vehicle-type", ("car", "truck")),
        ("colour", ()),
    ]


async def test_a_motion_gate_is_taken_and_shown(site: Site) -> None:
    gate = pb.MotionGate(enabled=True)
    shown = (await add(site, motion_gate=gate)).spec.motion_gate
    assert shown.enabled
    assert shown.max_gap.ToSeconds() == 2
    gate.max_gap.FromMilliseconds(61_000)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await update(site, "motion_gate", motion_gate=gate)
    assert "spec.motion_gate.max_gap" in fields_of(caught.value)


async def test_a_second_stage_that_is_not_loaded_is_refused(site: Site) -> None:
    refusal = await refused(
        site,
        second_stages=[pb.SecondStage(classifier="colour"), pb.SecondStage(classifier="van")],
    )
    assert "vigil-vehicle-type, colour" in refusal["spec.second_stages[1].classifier"]
    twice = [pb.SecondStage(classifier="colour")] * 2
    assert "spec.second_stages[1].classifier" in await refused(site, second_stages=twice)
    assert "spec.second_stages" in await refused(site, second_stages=twice * 3)


async def test_a_rule_may_name_a_classifier_that_is_loaded_and_its_classes(site: Site) -> None:
    def rule(**voted: Any) -> rules_pb2.Rule:
        return rules_pb2.Rule(rule_id="t", track=rules_pb2.TrackRule(), voted=[voted])

    wrong = await refused(site, rules=[rule(classifier="van", classes=["truck"])])
    assert "loaded: vigil-vehicle-type" in wrong["spec.rules[0].voted[0].classifier"]
    wrong = await refused(site, rules=[rule(classifier="colour", classes=["red", "pink"])])
    assert "it has red, blue" in wrong["spec.rules[0].voted[0].classes[1]"]
    lorries = rule(classifier="vigil-vehicle-type", classes=["truck"])
    stream = await add(site, rules=[lorries])
    assert list(stream.spec.rules[0].voted) == list(lorries.voted)
    assert not stream.spec.second_stages, "what a rule names is not written into the definition"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"class_min_scores": {"person": 0.5}}, "class_min_scores"),
    ],
)
async def test_what_is_not_served_says_so(site: Site, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(site, **changes)
    assert caught.value.code() is Code.UNIMPLEMENTED
    assert name in (caught.value.details() or "")


@pytest.mark.parametrize(
    "source",
    [
        pb.Source(uri="rtsp://us%65r:can%40ary@camera.example:8554/live?x=1"),
        pb.Source(
            uri="rtsp://camera.example:8554/live?x=1",
            credentials=pb.Credentials(username="user", password="can@ary"),
        ),
    ],
)
async def test_credentials_are_kept_and_never_returned(site: Site, source: pb.Source) -> None:
    stub = StreamServiceStub(site.channel)
    stream = await add(site, source=source)
    held = site.fleet.get("gate").spec.source
    assert (held.username, held.password) == ("user", "can@ary")
    assert held.uri == "rtsp://camera.example:8554/live?x=1"
    assert stream.spec.source.uri == held.uri
    assert stream.spec.source.has_credentials
    answers = [
        stream,
        (await stub.GetStream(pb.GetStreamRequest(stream_id="gate"))).stream,
        (await stub.ListStreams(pb.ListStreamsRequest())).streams[0],
        (await anext(aiter(stub.WatchStreams(pb.WatchStreamsRequest())))).stream,
    ]
    for answer in answers:
        assert "ary" not in str(answer)
        assert "user" not in str(answer)


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://user:can/ary@camera.example/live",
        "rtsp://user:1/canary@camera.example/live",
        "rtsp://user:can#ary@camera.example/live",
        "rtsp://user:can?ary@camera.example/live",
        "rtsp://user:canary@cam era.example/live",
        "rtsp://user:canary@[camera.example/live",
        "ftp://user:canary@camera.example/live",
        "file://user:canary@/etc/passwd",
        "user:canary@camera.example",
    ],
)
async def test_a_refused_uri_is_not_repeated(site: Site, uri: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(site, source=pb.Source(uri=uri))
    assert "spec.source.uri" in fields_of(caught.value)
    assert "ary" not in str(caught.value.details()) + str(caught.value.trailing_metadata())


async def test_credentials_given_twice_are_refused(site: Site) -> None:
    named = await refused(
        site,
        source=pb.Source(uri="rtsp://a:b@c/", credentials=pb.Credentials(username="a")),
    )
    assert list(named) == ["spec.source.credentials"]


async def update(site: Site, *paths: str, generation: int = 0, **changes: Any) -> pb.Stream:
    request = pb.UpdateStreamRequest(
        spec=pb.StreamSpec(stream_id="gate", **changes),
        update_mask=FieldMask(paths=paths),
        generation=generation,
    )
    return (await StreamServiceStub(site.channel).UpdateStream(request)).stream


async def test_an_update_changes_what_the_mask_names_and_nothing_else(site: Site) -> None:
    before = await add(site, labels={"a": "b"})
    after = await update(site, "detect_fps", detect_fps=9.0, priority=7)
    assert after.generation == 2
    expected = pb.StreamSpec()
    expected.CopyFrom(before.spec)
    expected.detect_fps = 9.0
    assert after.spec == expected


async def test_an_update_without_a_mask_replaces_the_whole(site: Site) -> None:
    await add(site, labels={"a": "b"})
    after = await update(site, source=pb.Source(uri="rtsp://other.example/"))
    assert after.spec.source.uri == "rtsp://other.example/"
    assert not after.spec.labels
    assert not after.spec.rules


async def test_rules_are_emptied_by_naming_them(site: Site) -> None:
    await add(site)
    assert not (await update(site, "rules")).spec.rules


async def test_a_stale_generation_is_aborted(site: Site) -> None:
    await add(site)
    await update(site, "priority", priority=2, generation=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await update(site, "priority", priority=3, generation=1)
    assert caught.value.code() is Code.ABORTED


@pytest.mark.parametrize(
    ("paths", "changes", "field"),
    [
        (["priority", "nothing"], {}, "update_mask.paths[1]"),
        (["stream_id"], {}, "update_mask.paths[0]"),
        (["source.uri"], {}, "update_mask.paths[0]"),
        (["rules"], {"rules": [zone(polygon=[])]}, "spec.rules[0].zone.polygon"),
    ],
)
async def test_a_wrong_update_is_refused_with_its_field(
    site: Site, paths: list[str], changes: dict[str, Any], field: str
) -> None:
    await add(site)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await update(site, *paths, **changes)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert field in fields_of(caught.value)


async def test_an_update_of_what_is_not_served_says_so(site: Site) -> None:
    await add(site)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await update(site, "class_min_scores")
    assert caught.value.code() is Code.UNIMPLEMENTED


async def test_reading_and_writing_back_keeps_the_secrets(site: Site) -> None:
    uri = "rtsp://user:pw@camera.example/live?pwd=canary&channel=1"
    shown = (await add(site, source=pb.Source(uri=uri))).spec
    assert shown.source.uri == "rtsp://camera.example/live?pwd=***&channel=1"
    held = site.fleet.get("gate").spec.source
    await update(site, "source", source=shown.source)
    assert site.fleet.get("gate").spec.source == held


async def test_held_credentials_do_not_go_to_another_host(site: Site) -> None:
    await add(site, source=pb.Source(uri="rtsp://user:pw@camera.example/live"))
    await update(site, "source", source=pb.Source(uri="rtsp://camera.example:554/other"))
    assert site.fleet.get("gate").spec.source.password == "pw"
    for elsewhere in (
        "rtsp://evil.example/live",
        "rtsp://camera.example:8554/",
        "http://camera.example/",
    ):
        stream = await update(site, "source", source=pb.Source(uri=elsewhere))
        assert not stream.spec.source.has_credentials
        await update(site, "source", source=pb.Source(uri="rtsp://user:pw@camera.example/live"))


async def test_an_empty_message_removes_credentials(site: Site) -> None:
    await add(site, source=pb.Source(uri="rtsp://user:pw@camera.example/live"))
    source = pb.Source(uri="rtsp://camera.example/live", credentials=pb.Credentials())
    assert not (await update(site, "source", source=source)).spec.source.has_credentials


async def test_unknown_streams_are_not_found(site: Site) -> None:
    stub = StreamServiceStub(site.channel)
    for call in (
        stub.GetStream(pb.GetStreamRequest(stream_id="none")),
        stub.RemoveStream(pb.RemoveStreamRequest(stream_id="none")),
        stub.UpdateStream(pb.UpdateStreamRequest(spec=pb.StreamSpec(stream_id="none"))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is Code.NOT_FOUND


async def test_a_call_that_names_no_stream_is_refused(site: Site) -> None:
    stub = StreamServiceStub(site.channel)
    for call, field in (
        (stub.GetStream(pb.GetStreamRequest()), "stream_id"),
        (stub.RemoveStream(pb.RemoveStreamRequest()), "stream_id"),
        (stub.UpdateStream(pb.UpdateStreamRequest()), "spec.stream_id"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert field in fields_of(caught.value)


async def test_pages_hold_all_streams_once_and_in_order(site: Site) -> None:
    stub = StreamServiceStub(site.channel)
    ids = [f"cam-{index:02}" for index in range(7)]
    for stream_id in reversed(ids):
        await add(site, stream_id=stream_id)
    seen, token = [], ""
    while True:
        page = await stub.ListStreams(pb.ListStreamsRequest(page_size=3, page_token=token))
        assert len(page.streams) <= 3
        seen += [stream.spec.stream_id for stream in page.streams]
        token = page.next_page_token
        if not token:
            break
    assert seen == ids
    assert len((await stub.ListStreams(pb.ListStreamsRequest(page_size=7))).streams) == 7


async def test_a_foreign_page_token_is_refused(site: Site) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await StreamServiceStub(site.channel).ListStreams(
            pb.ListStreamsRequest(page_token="not a token")
        )
    assert "page_token" in fields_of(caught.value)


async def test_a_watch_shows_what_is_then_each_change_then_the_removal(site: Site) -> None:
    stub = StreamServiceStub(site.channel)
    await add(site)
    await add(site, stream_id="other")
    watch = aiter(stub.WatchStreams(pb.WatchStreamsRequest(stream_ids=["gate"])))
    assert (await anext(watch)).stream.spec.stream_id == "gate"
    await add(site, stream_id="unwanted")
    await site.fleet.go_offline("gate", OfflineReason.UNREACHABLE)
    status = (await anext(watch)).stream.status
    assert status.state == pb.StreamStatus.OFFLINE
    assert status.reason == pb.StreamStatus.UNREACHABLE
    assert status.detail == "connection refused"
    assert status.next_retry.nanos == 500_000_000
    assert status.reconnects == 3
    await stub.RemoveStream(pb.RemoveStreamRequest(stream_id="gate"))
    last = await anext(watch)
    assert last.removed
    assert last.stream.spec.stream_id == "gate"


async def test_a_baseline_is_a_curve_over_the_week(site: Site) -> None:
    await add(site)
    stub = StreamServiceStub(site.channel)
    answer = await stub.GetBaseline(pb.GetBaselineRequest(stream_id="gate", rule_id="room"))
    assert [hour.hour_of_week for hour in answer.hours] == list(range(168))
    assert (answer.edge, answer.warm, answer.hours[5].usual) == ("above", True, 2.0)
    assert answer.hours[5].limit == 4.0
    assert answer.warm_at.seconds > 0
    for request, code in (
        (pb.GetBaselineRequest(stream_id="none", rule_id="room"), Code.NOT_FOUND),
        (pb.GetBaselineRequest(rule_id="room"), Code.INVALID_ARGUMENT),
        (pb.GetBaselineRequest(stream_id="gate", edge="beside"), Code.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetBaseline(request)
        assert caught.value.code() is code


async def test_what_is_not_served_yet_says_so(site: Site) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await add(site, model="vigil-det-s")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_door_that_is_not_installed_is_refused_with_its_field(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyav = pb.Source(uri="rtsp://camera.example/1", backend=pb.Source.PYAV)
    monkeypatch.setattr("vigil.api.stream_service.pyav_installed", lambda: False)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await add(site, source=pyav)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "vigil[video]" in (refused.value.details() or "")
    monkeypatch.setattr("vigil.api.stream_service.pyav_installed", lambda: True)
    await add(site, source=pyav)

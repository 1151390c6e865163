from pathlib import Path

import grpc
import pytest

from tests.support.event_pictures import NAME, keep
from tests.unit.api.loopback import Site
from tests.unit.api.memory_fleet import an_event
from tests.unit.api.test_stream_service import add, fields_of
from vigil.fleet.contract import ExplainTarget
from vigil.v1 import snapshots_pb2 as pb
from vigil.v1.geometry_pb2 import Box
from vigil.v1.snapshots_pb2_grpc import SnapshotServiceStub

Code = grpc.StatusCode


async def test_a_snapshot_has_its_picture_and_what_is_in_it(site: Site) -> None:
    await add(site)
    stub = SnapshotServiceStub(site.channel)
    plain = await stub.GetSnapshot(pb.GetSnapshotRequest(stream_id="gate"))
    assert (plain.jpeg, plain.width_px, plain.height_px) == (b"plain", 640, 360)
    assert (plain.run, plain.seq, plain.captured_at.seconds) == (1, 9, 1_750_000_000)
    assert plain.detections[0].track_id == 7
    small = await stub.GetSnapshot(
        pb.GetSnapshotRequest(stream_id="gate", annotated=True, max_width_px=320)
    )
    assert (small.jpeg, small.width_px) == (b"annotated", 320)


async def test_a_stream_without_a_picture_fails_the_precondition(site: Site) -> None:
    await add(site, enabled=False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await SnapshotServiceStub(site.channel).GetSnapshot(pb.GetSnapshotRequest(stream_id="gate"))
    assert caught.value.code() is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetSnapshotRequest(), "stream_id"),
        (pb.GetSnapshotRequest(stream_id="gate", max_width_px=100_000), "max_width_px"),
    ],
)
async def test_a_wrong_request_is_refused(
    site: Site, request_: pb.GetSnapshotRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await SnapshotServiceStub(site.channel).GetSnapshot(request_)
    assert field in fields_of(caught.value)


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (pb.ExplainDetectionRequest(), ExplainTarget()),
        (pb.ExplainDetectionRequest(track_id=7), ExplainTarget(track_id=7)),
        (pb.ExplainDetectionRequest(track_id=0), ExplainTarget(track_id=0)),
        (pb.ExplainDetectionRequest(class_name="bus"), ExplainTarget(class_name="bus")),
        (
            pb.ExplainDetectionRequest(
                bbox=Box(x1=0.25, y1=0.5, x2=0.5, y2=1.0), classifier="colour"
            ),
            ExplainTarget(xyxy=(0.25, 0.5, 0.5, 1.0), classifier="colour"),
        ),
    ],
)
async def test_what_is_to_be_explained_reaches_the_fleet(
    site: Site, request_: pb.ExplainDetectionRequest, target: ExplainTarget
) -> None:
    await add(site)
    request_.stream_id = "gate"
    answer = await SnapshotServiceStub(site.channel).ExplainDetection(request_)
    assert (answer.jpeg, answer.score) == (b"heat", 0.75)
    assert answer.class_name == (target.class_name or "car")
    assert site.fleet.explained[-1] == target


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ExplainDetectionRequest(), "stream_id"),
        (pb.ExplainDetectionRequest(stream_id="gate", bbox=Box(x1=0.5, x2=0.5, y2=1)), "bbox"),
        (pb.ExplainDetectionRequest(stream_id="gate", bbox=Box(x1=-1, x2=0.5, y2=1)), "bbox"),
        (
            pb.ExplainDetectionRequest(stream_id="gate", bbox=Box(x1=float("nan"), x2=1, y2=1)),
            "bbox",
        ),
    ],
)
async def test_a_wrong_question_is_refused(
    site: Site, request_: pb.ExplainDetectionRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await SnapshotServiceStub(site.channel).ExplainDetection(request_)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert field in fields_of(caught.value)


def event_snapshot(site: Site, episode_id: str) -> grpc.aio.UnaryUnaryCall:
    request = pb.GetEventSnapshotRequest(episode_id=episode_id)
    return SnapshotServiceStub(site.channel).GetEventSnapshot(request)


async def test_the_picture_of_an_event_comes_with_the_event(site: Site) -> None:
    event = an_event(snapshot=NAME)
    await site.outbox.append([event])
    await keep(site.pictures, NAME, b"jpeg")
    answer = await event_snapshot(site, event.episode_id)
    assert (answer.jpeg, answer.event.snapshot, answer.event.event_seq) == (b"jpeg", NAME, 1)
    assert answer.event.bbox.x2 == 0.5


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (None, "event_snapshots of stream 'gate'"),
        (NAME, "no longer kept"),
        (NAME.replace("gate", "yard"), "no longer kept"),  # there, and another stream's
        ("../snapshots/secret.jpg", "no longer kept"),
        ("/etc/passwd", "no longer kept"),
    ],
)
async def test_an_event_without_a_picture_of_its_own_says_why(
    site: Site, tmp_path: Path, snapshot: str | None, why: str
) -> None:
    await keep(site.pictures, NAME.replace("gate", "yard"), b"another's")
    (tmp_path / "snapshots" / "secret.jpg").write_bytes(b"secret")
    event = an_event(snapshot=snapshot)
    await site.outbox.append([event])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await event_snapshot(site, event.episode_id)
    assert caught.value.code() is Code.NOT_FOUND
    assert why in str(caught.value.details())


@pytest.mark.parametrize(
    ("episode_id", "code"),
    [
        ("", Code.INVALID_ARGUMENT),
        ("x" * 65, Code.INVALID_ARGUMENT),
        ("é", Code.INVALID_ARGUMENT),
        ("0" * 32, Code.NOT_FOUND),
        ("' OR 1=1 --", Code.NOT_FOUND),
    ],
)
async def test_an_episode_that_is_none_is_refused(
    site: Site, episode_id: str, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await event_snapshot(site, episode_id)
    assert caught.value.code() is code
    if code is Code.INVALID_ARGUMENT:
        assert "episode_id" in fields_of(caught.value)

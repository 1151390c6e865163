import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.api.loopback import Site
from tests.unit.api.memory_fleet import MemoryFleet
from tests.unit.api.test_stream_service import fields_of
from vigil.api.analysis_service import PIPELINE_FRAMES
from vigil.v1 import analysis_pb2 as pb
from vigil.v1 import streams_pb2
from vigil.v1.analysis_pb2_grpc import AnalysisServiceStub
from vigil.v1.geometry_pb2 import Box

Code = grpc.StatusCode
PICTURE = MemoryFleet.picture
OPENING = pb.AnalyzeFramesRequest(
    stream=streams_pb2.StreamSpec(stream_id="gate", source=streams_pb2.Source(uri="push:"))
)


def frame(image: bytes = PICTURE, *, at: Timestamp | None = None) -> pb.AnalyzeFramesRequest:
    return pb.AnalyzeFramesRequest(frame=pb.PushedFrame(image=image, captured_at=at))


async def test_a_picture_gives_its_objects(site: Site) -> None:
    stub = AnalysisServiceStub(site.channel)
    answer = (await stub.DetectImage(pb.DetectImageRequest(image=PICTURE))).analysis
    assert (answer.width_px, answer.height_px, answer.model) == (640, 360, "vigil-det-n")
    assert answer.infer_time.nanos == 20_000_000
    (detection,) = answer.detections
    assert detection.class_name == "person"
    assert detection.score == 0.75
    assert (detection.bbox.x1, detection.bbox.y2) == (0.25, 1.0)


async def test_classes_and_score_reach_the_fleet(site: Site) -> None:
    stub = AnalysisServiceStub(site.channel)
    for request in (
        pb.DetectImageRequest(image=PICTURE, classes=["car"]),
        pb.DetectImageRequest(image=PICTURE, min_score=0.9),
    ):
        assert not (await stub.DetectImage(request)).analysis.detections


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (pb.DetectImageRequest(), Code.INVALID_ARGUMENT, "image: has 0 bytes"),
        (pb.DetectImageRequest(image=b"junk"), Code.INVALID_ARGUMENT, "image: these bytes"),
        (
            pb.DetectImageRequest(image=PICTURE, min_score=float("nan")),
            Code.INVALID_ARGUMENT,
            "min_score",
        ),
        (pb.DetectImageRequest(image=PICTURE, model="other"), Code.UNIMPLEMENTED, "vigil-det-n"),
    ],
)
async def test_a_wrong_picture_request_is_refused(
    site: Site, request_: pb.DetectImageRequest, code: Code, text: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AnalysisServiceStub(site.channel).DetectImage(request_)
    assert caught.value.code() is code
    assert text in (caught.value.details() or "")


def asked(
    *, image: bytes = PICTURE, model: str = "colour", **fields: Any
) -> pb.ClassifyImageRequest:
    return pb.ClassifyImageRequest(image=image, model=model, **fields)


async def test_a_picture_gives_its_classes_the_most_probable_first(site: Site) -> None:
    stub = AnalysisServiceStub(site.channel)
    answer = await stub.ClassifyImage(asked())
    assert [(each.class_name, each.probability) for each in answer.classes] == [
        *(("car", 0.5), ("bus", 0.25), ("van", 0.125), ("truck", 0.0625), ("tram", 0.03125)),
    ]
    assert answer.model == "colour"
    first = await stub.ClassifyImage(asked(top_k=1))
    assert [each.class_name for each in first.classes] == ["car"]
    part = await stub.ClassifyImage(asked(bbox=Box(x1=0.5, y1=0, x2=1, y2=0.5)))
    assert part.classes[0].class_name == "(0.5, 0.0, 1.0, 0.5)"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (asked(image=b""), "image: has 0 bytes"),
        (asked(image=b"junk"), "image: these bytes"),
        (
            asked(model="other"),
            "model: 'other' is no loaded classifier; loaded: vigil-vehicle-type, colour",
        ),
        (asked(model=""), "model: name one; loaded: vigil-vehicle-type, colour"),
        (asked(bbox=Box(x1=0.5, y1=0.0, x2=0.5, y2=1.0)), "bbox: needs 0 <= x1 < x2 <= 1"),
        (asked(bbox=Box(x1=0.5, y1=0.0, x2=1.5, y2=1.0)), "bbox: needs"),
        (asked(bbox=Box(x1=float("nan"), y1=0.0, x2=1.0, y2=1.0)), "bbox: needs"),
        (asked(bbox=Box()), "bbox: needs"),
    ],
)
async def test_a_wrong_classification_request_is_refused(
    site: Site, request_: pb.ClassifyImageRequest, text: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AnalysisServiceStub(site.channel).ClassifyImage(request_)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert text in (caught.value.details() or "")
    assert list(fields_of(caught.value)) == [text.split(":")[0]]


async def test_every_pushed_frame_is_answered_in_order(site: Site) -> None:
    times = [Timestamp(seconds=1000 + index) for index in range(20)]

    async def requests() -> AsyncIterator[pb.AnalyzeFramesRequest]:
        yield OPENING
        for at in times:
            yield frame(at=at)
        yield frame()

    call = AnalysisServiceStub(site.channel).AnalyzeFrames(requests())
    answers = [answer async for answer in call]
    assert [answer.index for answer in answers] == list(range(21))
    assert [answer.analysis.seq for answer in answers] == list(range(21))
    assert answers[0].analysis.picture.detections[0].track_id == 7
    (event,) = answers[0].analysis.events
    assert event.type == "zone.enter"
    assert event.event_seq == 0
    (session,) = site.fleet.sessions
    assert session.times_s == [float(at.seconds) for at in times] + [None]
    assert session.closed.is_set()


async def test_a_frame_that_is_no_picture_is_answered_and_the_call_goes_on(site: Site) -> None:
    async def requests() -> AsyncIterator[pb.AnalyzeFramesRequest]:
        yield OPENING
        for request in (frame(b"junk"), frame(b""), OPENING, pb.AnalyzeFramesRequest()):
            yield request
        yield frame(at=Timestamp(seconds=-5))
        yield frame()

    call = AnalysisServiceStub(site.channel).AnalyzeFrames(requests())
    answers = [answer async for answer in call]
    assert [answer.WhichOneof("result") for answer in answers] == ["error"] * 5 + ["analysis"]
    assert {answer.error.code for answer in answers[:5]} == {"INVALID_ARGUMENT"}
    assert answers[0].error.message.startswith("frame.image: these bytes")
    assert "0 bytes" in answers[1].error.message
    assert "captured_at" in answers[4].error.message


async def test_a_full_pipe_holds_the_client_back(site: Site) -> None:
    sent = 0

    async def requests() -> AsyncIterator[pb.AnalyzeFramesRequest]:
        nonlocal sent
        yield OPENING
        for _ in range(50):
            yield frame(PICTURE)
            sent += 1

    call = AnalysisServiceStub(site.channel).AnalyzeFrames(requests())
    while not site.fleet.sessions:
        await asyncio.sleep(0)
    (session,) = site.fleet.sessions
    session.gate = asyncio.Semaphore(0)
    in_pipe = PIPELINE_FRAMES + 2  # one at each end of the queue
    while len(session.times_s) < in_pipe:
        await asyncio.sleep(0)
    for _ in range(1000):  # turns of the loop in which a wider pipe would take more
        await asyncio.sleep(0)
    assert len(session.times_s) == in_pipe
    for _ in range(50):
        session.gate.release()
    assert [answer.index async for answer in call] == list(range(50))


async def test_a_client_that_goes_away_closes_its_session(site: Site) -> None:
    call = AnalysisServiceStub(site.channel).AnalyzeFrames()
    await call.write(OPENING)
    await call.write(frame())
    assert (await call.read()).analysis.seq == 0
    (session,) = site.fleet.sessions
    session.gate = asyncio.Semaphore(0)
    await call.write(frame())
    call.cancel()
    await asyncio.wait_for(session.closed.wait(), 10)


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (frame(), "stream"),
        (
            pb.AnalyzeFramesRequest(
                stream=streams_pb2.StreamSpec(
                    stream_id="gate", source=streams_pb2.Source(uri="rtsp://camera.example/")
                )
            ),
            "stream.source.uri",
        ),
        (
            pb.AnalyzeFramesRequest(
                stream=streams_pb2.StreamSpec(
                    stream_id="GATE", source=streams_pb2.Source(uri="push:")
                )
            ),
            "stream.stream_id",
        ),
    ],
)
async def test_a_call_that_opens_wrongly_is_refused(
    site: Site, first: pb.AnalyzeFramesRequest, field: str
) -> None:
    call = AnalysisServiceStub(site.channel).AnalyzeFrames()
    await call.write(first)  # and no end of writing: it could meet the refusal
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert field in fields_of(caught.value)
    assert not site.fleet.sessions


async def test_a_call_without_a_message_is_refused(site: Site) -> None:
    call = AnalysisServiceStub(site.channel).AnalyzeFrames(iter([]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is Code.INVALID_ARGUMENT

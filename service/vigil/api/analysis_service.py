"""AnalysisService: pictures that a client sends itself."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from vigil.api.errors import status_of, within
from vigil.api.lasting import LastingCalls
from vigil.api.results import event_message, picture_message
from vigil.api.stream_service import DefinitionReader
from vigil.api.times import utc_s
from vigil.errors import (
    FieldViolation,
    InvalidRequest,
    NotServedYet,
    Unavailable,
    UnknownStream,
    UnreadableImage,
    VigilError,
)
from vigil.fleet.contract import Fleet, FrameResult, PushSession
from vigil.fleet.policy import PUSH_URI
from vigil.v1 import analysis_pb2, analysis_pb2_grpc, geometry_pb2

# Frames of one call between its reader and its answers: enough to keep the engine busy while an answer
# travels, few enough to bound what pictures of 16 MB hold. A full pipe stops reading: flow control.
PIPELINE_FRAMES = 4

DEFAULT_TOP_K = 5

_Answer: TypeAlias = analysis_pb2.AnalyzeFramesResponse
_Pipe: TypeAlias = "asyncio.Queue[asyncio.Task[_Answer] | None]"


class AnalysisService(analysis_pb2_grpc.AnalysisServiceServicer):
    """Serves pictures of the request. Errors are raised; `vigil.api.calls` makes statuses of them."""

    def __init__(
        self, *, fleet: Fleet, reader: DefinitionReader, lasting: LastingCalls, model: str
    ) -> None:
        self._fleet = fleet
        self._reader = reader
        self._lasting = lasting
        self._model = model

    async def DetectImage(  # noqa: N802 - the contract's name, as all of this class
        self, request: analysis_pb2.DetectImageRequest, context: Any
    ) -> analysis_pb2.DetectImageResponse:
        """The objects in one picture."""
        _refuse_empty("image", request.image)
        if not (math.isfinite(request.min_score) and 0 <= request.min_score <= 1):
            raise InvalidRequest([FieldViolation("min_score", "must be from 0 to 1")])
        if request.model not in ("", self._model):
            raise NotServedYet(
                f"model: only {self._model} is served by this version; leave model out"
            )
        if wrong := list(self._reader.unknown("classes", request.classes)):
            raise InvalidRequest(wrong)
        try:
            result = await self._fleet.detect_image(
                request.image, min_score=request.min_score, classes=tuple(request.classes)
            )
        except UnreadableImage as error:
            raise InvalidRequest([FieldViolation("image", str(error))]) from None
        return analysis_pb2.DetectImageResponse(analysis=picture_message(result))

    async def ClassifyImage(  # noqa: N802
        self, request: analysis_pb2.ClassifyImageRequest, context: Any
    ) -> analysis_pb2.ClassifyImageResponse:
        """The most probable classes of one picture, or of a part of it."""
        _refuse_empty("image", request.image)
        classifier = self._classifier(request.model)
        part = _part(request.bbox) if request.HasField("bbox") else None
        try:
            result = await self._fleet.classify_image(
                request.image,
                classifier=classifier,
                part=part,
                top_k=request.top_k or DEFAULT_TOP_K,
            )
        except UnreadableImage as error:
            raise InvalidRequest([FieldViolation("image", str(error))]) from None
        return analysis_pb2.ClassifyImageResponse(
            classes=[
                analysis_pb2.ClassifyImageResponse.Class(class_name=name, probability=probability)
                for name, probability in result.classes
            ],
            model=result.model,
        )

    def _classifier(self, model: str) -> str:
        """The loaded classifier that is meant. Raises InvalidRequest."""
        classifiers = self._reader.classifiers
        if model in classifiers:
            return model
        if not model and len(classifiers) == 1:
            return next(iter(classifiers))
        loaded = ", ".join(classifiers)
        advice = f"loaded: {loaded}" if loaded else "none is loaded"
        which = f"{model!r} is no loaded classifier" if model else "name one"
        detail = f"{which}; {advice}. engine.classifiers in the service's configuration names them"
        raise InvalidRequest([FieldViolation("model", detail)])

    async def AnalyzeFrames(  # noqa: N802
        self, requests: AsyncIterator[analysis_pb2.AnalyzeFramesRequest], context: Any
    ) -> AsyncIterator[_Answer]:
        """A stream whose pictures the client pushes; each is answered, in order."""
        async for answer in self._lasting.follow(self._answers(requests)):
            yield answer

    async def _answers(
        self, requests: AsyncIterator[analysis_pb2.AnalyzeFramesRequest]
    ) -> AsyncGenerator[_Answer, None]:
        requests = aiter(requests)  # grpc's iterator is none before this
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "stream":
            raise InvalidRequest([FieldViolation("stream", "send it first, then the frames")])
        try:
            spec = self._reader.read(first.stream)
            if spec.source.uri != PUSH_URI:
                raise InvalidRequest([FieldViolation("source.uri", f"must be {PUSH_URI} here")])
            session = await self._fleet.open_push(spec)
        except InvalidRequest as error:
            raise within("stream", error) from None
        async with session, _pipeline(session, requests) as pipe:
            while (task := await pipe.get()) is not None:
                yield await task


@asynccontextmanager
async def _pipeline(
    session: PushSession, requests: AsyncIterator[analysis_pb2.AnalyzeFramesRequest]
) -> AsyncIterator[_Pipe]:
    """Tasks that push the frames of a call, in order; None after the last."""
    pipe: _Pipe = asyncio.Queue(maxsize=PIPELINE_FRAMES)
    tasks: set[asyncio.Task[_Answer]] = set()

    def forget(task: asyncio.Task[_Answer]) -> None:
        tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, though an earlier one may have ended the call

    async def fill() -> None:
        try:
            index = 0
            async for request in requests:
                task = asyncio.create_task(_push(session, request, index))
                tasks.add(task)
                task.add_done_callback(forget)
                await pipe.put(task)
                index += 1
        except Exception:
            await pipe.put(None)
            raise
        await pipe.put(None)  # not when cancelled: nobody may be there to make room

    filler = asyncio.create_task(fill())
    try:
        yield pipe
        await filler  # raises what reading the requests raised
    finally:
        for task in (filler, *tasks):
            task.cancel()
        await asyncio.gather(filler, *tasks, return_exceptions=True)


async def _push(
    session: PushSession, request: analysis_pb2.AnalyzeFramesRequest, index: int
) -> _Answer:
    """The answer to one message: its analysis, or what is wrong with this frame."""
    try:
        if request.WhichOneof("message") != "frame":
            raise InvalidRequest(
                [FieldViolation("frame", "send the stream once, then frames only")]
            )
        frame = request.frame
        _refuse_empty("frame.image", frame.image)
        captured_at_s = (
            utc_s(frame.captured_at, field="frame.captured_at")
            if frame.HasField("captured_at")
            else None
        )
        result = await session.push(frame.image, captured_at_s=captured_at_s)
    except UnreadableImage as error:
        return _frame_error(index, FieldViolation("frame.image", str(error)))
    except (Unavailable, UnknownStream):
        raise  # of the whole call: what comes next would fare no better
    except VigilError as error:
        return _frame_error(index, error)
    return analysis_pb2.AnalyzeFramesResponse(index=index, analysis=_analysis(result))


def _frame_error(index: int, error: VigilError) -> _Answer:
    message = analysis_pb2.FrameError(code=error.code, message=status_of(error).message)
    return analysis_pb2.AnalyzeFramesResponse(index=index, error=message)


def _analysis(result: FrameResult) -> analysis_pb2.FrameAnalysis:
    return analysis_pb2.FrameAnalysis(
        run=result.run,
        seq=result.seq,
        picture=picture_message(result.picture),
        events=[event_message(event) for event in result.events],
    )


def _part(box: geometry_pb2.Box) -> tuple[float, float, float, float]:
    """A normalised box with an area. Raises InvalidRequest."""
    sides = (box.x1, box.y1, box.x2, box.y2)
    within = all(math.isfinite(side) and 0 <= side <= 1 for side in sides)
    if not (within and box.x1 < box.x2 and box.y1 < box.y2):
        detail = "needs 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, as shares of the picture"
        raise InvalidRequest([FieldViolation("bbox", detail)])
    return sides


def _refuse_empty(field: str, image: bytes) -> None:
    if not image:
        raise InvalidRequest([FieldViolation(field, "has 0 bytes; send a JPEG, PNG, WebP or BMP")])

"""Pictures that clients send or ask for, answered by hosts."""

from vigil.errors import NoFrame, Unavailable
from vigil.fleet.contract import (
    ClassResult,
    ExplainTarget,
    Explanation,
    FrameResult,
    PictureResult,
    Snapshot,
    Stream,
)
from vigil.fleet.host import HostKeeper
from vigil.fleet.hosts import Hosts
from vigil.fleet.requests import (
    Requests,
    found_of,
    picture_result,
    raise_no_snapshot,
    raise_not_explained,
    raise_refusal,
)
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import (
    AnalysePicture,
    ClassifierInfo,
    ClassifyPicture,
    ExplainSnapshot,
    FromHost,
    PictureAnalysed,
    PictureClassified,
    PushFrame,
    SnapshotExplained,
    SnapshotTaken,
    TakeSnapshot,
)
from vigil.vision.manifest import Manifest


class Pictures:
    """Asks hosts, and gives their answers with the names of the model's classes."""

    def __init__(
        self, hosts: Hosts, manifest: Manifest, classifiers: tuple[ClassifierInfo, ...]
    ) -> None:
        self._hosts = hosts
        self._manifest = manifest
        self._classes = {info.name: info.classes for info in classifiers}
        self._requests = Requests()

    def heard(self, parcel: Parcel[FromHost]) -> None:
        """A host's message, if it is an answer."""
        match parcel.message:
            case PictureAnalysed() as answer:
                self._requests.answer_picture(answer)
            case PictureClassified() as answer:
                self._requests.answer_class(answer)
            case SnapshotTaken() as answer:
                self._requests.answer_snapshot(answer, parcel.payload())
            case SnapshotExplained() as answer:
                self._requests.answer_explanation(answer, parcel.payload())

    def host_ended(self, host_id: str) -> None:
        """The answers of this host will not come."""
        self._requests.host_ended(host_id)

    async def detect(
        self, encoded: bytes, *, min_score: float, classes: tuple[str, ...]
    ) -> PictureResult:
        """Find the objects in one encoded picture. Raises UnreadableImage, Busy, Unavailable."""
        host = self._host()
        number, future = self._requests.ask_picture(host.host_id)
        request = AnalysePicture(request_id=number, min_score=min_score, classes=classes)
        host.send(request, payload=encoded)
        answer = await self._requests.answer(number, future)
        raise_refusal(answer)
        return self._result(answer)

    async def classify(
        self,
        encoded: bytes,
        *,
        classifier: str,
        part: tuple[float, float, float, float] | None,
        top_k: int,
    ) -> ClassResult:
        """What one encoded picture shows. Raises UnreadableImage, Busy, Unavailable."""
        host = self._host()
        number, future = self._requests.ask_class(host.host_id)
        request = ClassifyPicture(request_id=number, classifier=classifier, part=part)
        host.send(request, payload=encoded)
        answer = await self._requests.answer(number, future)
        raise_refusal(answer)
        names = self._classes[classifier]
        ranked = sorted(
            zip(names, answer.probabilities, strict=True), key=lambda each: each[1], reverse=True
        )
        return ClassResult(classes=tuple(ranked[:top_k]), model=classifier)

    def _host(self) -> HostKeeper:
        """A host to ask, while there is an engine. Raises Unavailable."""
        engine = self._hosts.engine
        if engine.ready is None:
            raise Unavailable(
                engine.failure or "the model is being loaded; try again in some seconds"
            )
        host = self._hosts.least_loaded()
        host.expect_process()
        return host

    async def push(
        self, host: HostKeeper, stream_id: str, encoded: bytes, *, captured_at_s: float | None
    ) -> FrameResult:
        """Analyse one frame of a pushed stream. Raises as `detect`, and InvalidRequest."""
        host.expect_process()
        number, future = self._requests.ask_picture(host.host_id)
        request = PushFrame(request_id=number, stream_id=stream_id, captured_at_s=captured_at_s)
        host.send(request, payload=encoded)
        answer = await self._requests.answer(number, future)
        raise_refusal(answer)
        return FrameResult(
            seq=answer.seq, run=answer.run, picture=self._result(answer), events=answer.events
        )

    async def snapshot(self, stream: Stream, *, annotated: bool, max_width_px: int) -> Snapshot:
        """The next analysed picture of a stream. Raises NoFrame, Busy, Unavailable."""
        host = self._host_with_pictures(stream)
        number, future = self._requests.ask_snapshot(host.host_id)
        request = TakeSnapshot(
            request_id=number,
            stream_id=stream.spec.stream_id,
            annotated=annotated,
            max_width_px=max_width_px,
        )
        host.send(request)
        answer, jpeg = await self._requests.answer(number, future)
        raise_no_snapshot(answer)
        return Snapshot(
            jpeg=jpeg,
            width_px=answer.width_px,
            height_px=answer.height_px,
            captured_at_s=answer.captured_at_s,
            run=answer.run,
            seq=answer.seq,
            found=found_of(answer.found, self._manifest.classes),
        )

    async def explain(self, stream: Stream, target: ExplainTarget) -> Explanation:
        """A heat map on the next analysed picture of a stream. Raises NoFrame, Busy, Unavailable."""
        host = self._host_with_pictures(stream)
        number, future = self._requests.ask_explanation(host.host_id)
        request = ExplainSnapshot(
            request_id=number,
            stream_id=stream.spec.stream_id,
            track_id=target.track_id,
            xyxy=target.xyxy,
            class_name=target.class_name,
            classifier=target.classifier,
        )
        host.send(request)
        answer, jpeg = await self._requests.answer(number, future)
        raise_not_explained(answer)
        return Explanation(jpeg=jpeg, class_name=answer.class_name, score=answer.score)

    def _host_with_pictures(self, stream: Stream) -> HostKeeper:
        stream_id, state = stream.spec.stream_id, stream.status.state
        host = self._hosts.host_of(stream_id)
        if host is None or not state.has_pictures:
            raise NoFrame(
                f"stream {stream_id!r} is {state.value} and has no picture; "
                "WatchStreams tells when it is online"
            )
        host.expect_process()
        return host

    def _result(self, answer: PictureAnalysed) -> PictureResult:
        return picture_result(answer, classes=self._manifest.classes, model=self._manifest.name)

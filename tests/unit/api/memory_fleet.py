"""A fleet without processes: streams are rows, pictures are bytes that a test chose."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

import msgspec

from vigil.data import Event, OfflineReason, Phase, StreamState
from vigil.errors import NoFrame, StaleGeneration, StreamExists, UnknownStream, UnreadableImage
from vigil.fleet.contract import (
    ClassResult,
    ExplainTarget,
    Explanation,
    Fleet,
    Found,
    FrameResult,
    PictureResult,
    PushSession,
    Snapshot,
    Stream,
    StreamStatus,
)
from vigil.rules.usual import Baseline, learn
from vigil.spec import Edge, Learnt, StreamSpec

T0_S = 1_750_000_000.0
PERSON = Found(xyxy=(0.25, 0.5, 0.5, 1.0), score=0.75, class_name="person", track_id=7)


def an_event(**changes: object) -> Event:
    event = Event(
        event_id="e" * 32,
        episode_id="f" * 32,
        type="zone.enter",
        phase=Phase.NEW,
        stream_id="gate",
        run=1,
        rule_id="yard",
        track_id=7,
        class_name="person",
        score=0.75,
        bbox=(0.25, 0.5, 0.5, 1.0),
        occurred_at_s=T0_S + 0.25,
        captured_s=1.0,
        labels={"site": "north"},
        attributes={"count": 2, "direction": "left", "type": {"van": 0.5}},
    )
    return msgspec.structs.replace(event, **changes)


class MemoryFleet(Fleet):
    """Keeps streams as the contract says; ``picture`` is what it takes for one."""

    picture = b"a picture"

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.sessions: list[MemoryPush] = []
        self.explained: list[ExplainTarget] = []
        self.seen = asyncio.Semaphore(0)  # released for each change that a watcher has taken
        self._changed = asyncio.Condition()
        self._changes: list[Stream] = []

    async def add(self, spec: StreamSpec) -> Stream:
        held = self.streams.get(spec.stream_id)
        if held is not None:
            if held.spec != spec:
                raise StreamExists(f"stream {spec.stream_id} exists with another definition")
            return held
        state = StreamState.CONNECTING if spec.enabled else StreamState.DISABLED
        stream = Stream(spec=spec, generation=1, status=StreamStatus(state=state, since_s=T0_S))
        return await self._put(stream)

    async def update(self, spec: StreamSpec, *, fields: frozenset[str], generation: int) -> Stream:
        held = self.get(spec.stream_id)
        if generation not in (0, held.generation):
            raise StaleGeneration(f"generation {generation} is not {held.generation}; read again")
        named = fields or frozenset(StreamSpec.__struct_fields__)
        changed = msgspec.structs.replace(
            held.spec, **{field: getattr(spec, field) for field in named}
        )
        return await self._put(
            msgspec.structs.replace(held, spec=changed, generation=held.generation + 1)
        )

    async def remove(self, stream_id: str) -> None:
        held = self.get(stream_id)
        del self.streams[stream_id]
        await self._tell(msgspec.structs.replace(held, removed=True))

    def get(self, stream_id: str) -> Stream:
        try:
            return self.streams[stream_id]
        except KeyError:
            raise UnknownStream(f"no stream {stream_id!r}; see ListStreams") from None

    def list(self, *, after: str, limit: int) -> list[Stream]:
        ids = sorted(stream_id for stream_id in self.streams if stream_id > after)
        return [self.streams[stream_id] for stream_id in ids[:limit]]

    async def watch(self) -> AsyncIterator[Stream]:
        seen = len(self._changes)
        for stream in list(self.streams.values()):
            yield stream
            self.seen.release()
        while True:
            async with self._changed:
                while len(self._changes) == seen:
                    await self._changed.wait()
            while seen < len(self._changes):
                seen += 1
                yield self._changes[seen - 1]
                self.seen.release()

    async def go_offline(self, stream_id: str, reason: OfflineReason) -> None:
        status = StreamStatus(
            state=StreamState.OFFLINE,
            since_s=T0_S + 1,
            reason=reason,
            detail="connection refused",
            next_retry_s=T0_S + 2.5,
            run=1,
            reconnects=3,
        )
        await self._put(msgspec.structs.replace(self.get(stream_id), status=status))

    async def detect_image(
        self, encoded: bytes, *, min_score: float, classes: tuple[str, ...]
    ) -> PictureResult:
        if encoded == b"crash":
            raise RuntimeError("secret text of an unexpected failure")
        return self._analysed(encoded, min_score, classes)

    async def classify_image(
        self,
        encoded: bytes,
        *,
        classifier: str,
        part: tuple[float, float, float, float] | None,
        top_k: int,
    ) -> ClassResult:
        if encoded != self.picture:
            raise UnreadableImage("these bytes are not a picture; send JPEG, PNG, WebP or BMP")
        names = (str(part) if part else "car", "bus", "van", "truck", "tram", "tractor")
        ranked = tuple((name, 0.5 ** (place + 1)) for place, name in enumerate(names))
        return ClassResult(classes=ranked[:top_k], model=classifier)

    async def baseline(self, stream_id: str, rule_id: str, edge: str) -> Baseline:
        self.get(stream_id)
        learnt = Learnt(warm_up_s=3600.0)
        history = {int(T0_S // 3600) + hour: [2.0] * 12 for hour in range(168)}
        side = Edge(edge or "above")
        return learn(rule_id, side, learnt, history, now_s=T0_S + 8 * 86400.0)

    async def explain(self, stream_id: str, target: ExplainTarget) -> Explanation:
        self.get(stream_id)
        self.explained.append(target)
        return Explanation(jpeg=b"heat", class_name=target.class_name or "car", score=0.75)

    async def snapshot(self, stream_id: str, *, annotated: bool, max_width_px: int) -> Snapshot:
        stream = self.get(stream_id)
        if stream.status.state is not StreamState.CONNECTING:
            raise NoFrame("no picture yet")
        return Snapshot(
            jpeg=b"annotated" if annotated else b"plain",
            width_px=max_width_px or 640,
            height_px=360,
            captured_at_s=T0_S,
            run=1,
            seq=9,
            found=(PERSON,),
        )

    async def open_push(self, spec: StreamSpec) -> PushSession:
        session = MemoryPush(self, spec)
        self.sessions.append(session)
        return session

    def _analysed(
        self, encoded: bytes, min_score: float, classes: tuple[str, ...]
    ) -> PictureResult:
        if encoded != self.picture:
            raise UnreadableImage("these bytes decode to no picture")
        found = tuple(
            one
            for one in (PERSON,)
            if one.score >= min_score and (not classes or one.class_name in classes)
        )
        return PictureResult(
            width_px=640, height_px=360, found=found, model="vigil-det-n", infer_s=0.02
        )

    async def _put(self, stream: Stream) -> Stream:
        self.streams[stream.spec.stream_id] = stream
        await self._tell(stream)
        return stream

    async def _tell(self, stream: Stream) -> None:
        self._changes.append(stream)
        async with self._changed:
            self._changed.notify_all()


class MemoryPush(PushSession):
    """Answers pushes in order, as slowly as ``gate`` lets it."""

    def __init__(self, fleet: MemoryFleet, spec: StreamSpec) -> None:
        self._fleet = fleet
        self.spec = spec
        self.opened = False
        self.closed = asyncio.Event()
        self.gate = asyncio.Semaphore(1000)
        self.times_s: list[float | None] = []

    async def __aenter__(self) -> "MemoryPush":
        self.opened = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closed.set()

    async def push(self, encoded: bytes, *, captured_at_s: float | None) -> FrameResult:
        seq = len(self.times_s)
        self.times_s.append(captured_at_s)
        await self.gate.acquire()
        return FrameResult(
            seq=seq,
            run=1,
            picture=self._fleet._analysed(encoded, 0.0, ()),
            events=(an_event(stream_id=self.spec.stream_id),) if seq == 0 else (),
        )

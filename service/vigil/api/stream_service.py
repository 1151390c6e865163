"""StreamService: adds, changes, removes and shows streams."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from vigil.api.convert import (
    StreamMessages,
    baseline_message,
    gives_credentials,
    spec_from_message,
)
from vigil.api.errors import within
from vigil.api.guard import CALLER
from vigil.api.lasting import LastingCalls
from vigil.api.paging import page_size, read_token, write_token
from vigil.api.secrets import keep_secrets
from vigil.config import pyav_installed
from vigil.errors import FieldViolation, InvalidRequest, NotKept, NotServedYet
from vigil.fleet.contract import Fleet, Stream
from vigil.fleet.policy import SourcePolicy
from vigil.fleet.secrets import SecretReader
from vigil.spec import CaptureBackend, Edge, ObjectRule, StreamSpec, violations, votes_of
from vigil.v1 import streams_pb2, streams_pb2_grpc

CHANGEABLE = frozenset(StreamSpec.__struct_fields__) - {"stream_id"}
_MESSAGE_FIELDS = frozenset(streams_pb2.StreamSpec.DESCRIPTOR.fields_by_name)


class DefinitionReader:
    """Reads definitions of streams from requests, refusing what the request shows to be wrong."""

    def __init__(
        self,
        *,
        policy: SourcePolicy,
        default_backend: CaptureBackend,
        model: str,
        classes: Sequence[str] = (),
        secrets: SecretReader | None = None,
        classifiers: Mapping[str, Sequence[str]] = MappingProxyType({}),
        snapshots: bool = False,
    ) -> None:
        """``classes`` are the detector's, empty: any; ``snapshots``: the service keeps pictures of events."""
        self._policy = policy
        self._secrets = secrets or SecretReader()
        self._default_backend = default_backend
        self._model = model
        self._classes = classes
        self.classifiers = classifiers  # name to classes, as loaded
        self._snapshots = snapshots

    def read(self, message: streams_pb2.StreamSpec) -> StreamSpec:
        """A whole definition. Raises InvalidRequest with every field that is wrong, and NotServedYet."""
        spec = spec_from_message(message, default_backend=self._default_backend)
        named = self._secret_violations(message)
        self._refuse_wrong(spec, fields=CHANGEABLE | {"stream_id"}, named=named)
        return spec

    def read_change(
        self, message: streams_pb2.StreamSpec, *, held: StreamSpec, fields: frozenset[str]
    ) -> StreamSpec:
        """The definition ``held`` with the named fields of a message. Raises as `read`.

        Only what changes is judged: what is held was accepted before, perhaps under another policy.
        """
        named = streams_pb2.StreamSpec()
        named.CopyFrom(message)
        for field in _MESSAGE_FIELDS & CHANGEABLE - fields:
            named.ClearField(field)
        given = spec_from_message(named, default_backend=self._default_backend)
        source = keep_secrets(given.source, held.source, given=gives_credentials(named.source))
        given = msgspec.structs.replace(given, source=source)
        spec = msgspec.structs.replace(held, **{field: getattr(given, field) for field in fields})
        self._refuse_wrong(spec, fields=fields, named=self._secret_violations(named))
        return spec

    def _secret_violations(self, message: streams_pb2.StreamSpec) -> list[FieldViolation]:
        """Of a reference that the message gives; what is held was allowed to who gave it."""
        reference = message.source.credentials.secret_ref
        return self._secrets.violations(reference, prefixes=CALLER.get().prefixes)

    def _refuse_wrong(
        self, spec: StreamSpec, *, fields: frozenset[str], named: list[FieldViolation]
    ) -> None:
        wrong = [
            violation
            for violation in (
                *violations(spec),
                *self._policy.violations(spec.source),
                *_backend_violations(spec.source.backend),
                *named,
                *self._unloaded(spec),
                *self._never_found(spec),
            )
            if re.split(r"[.\[]", violation.field, maxsplit=1)[0] in fields
        ]
        if wrong:
            raise InvalidRequest(wrong)
        if spec.model not in ("", self._model):
            raise NotServedYet(
                f"model {spec.model!r} is not served: this service runs {self._model!r} for all "
                "streams; leave the field empty"
            )
        if spec.event_snapshots.enabled and "event_snapshots" in fields and not self._snapshots:
            raise NotKept(
                "event_snapshots: this service keeps no pictures of events; set snapshots.enabled in its"
                " configuration, or leave the field out"
            )

    def unknown(self, field: str, classes: Sequence[str]) -> Iterator[FieldViolation]:
        """Classes of objects that the detector does not know: whoever waits for one waits for ever."""
        for index, label in enumerate(classes):
            if self._classes and label not in self._classes:
                known = ", ".join(self._classes)
                yield FieldViolation(
                    f"{field}[{index}]", f"{label!r} is no class of {self._model}; it has {known}"
                )

    def _never_found(self, spec: StreamSpec) -> Iterator[FieldViolation]:
        yield from self.unknown("classes", spec.classes)
        for index, stage in enumerate(spec.second_stages):
            yield from self.unknown(f"second_stages[{index}].classes", stage.classes)
        for index, rule in enumerate(spec.rules):
            if isinstance(rule, ObjectRule):
                yield from self.unknown(f"rules[{index}].classes", rule.classes)

    def _unloaded(self, spec: StreamSpec) -> Iterator[FieldViolation]:
        """Classifiers that the engine has not loaded, and classes that those that rules name do not have."""
        named = [(f"second_stages[{i}]", s.classifier) for i, s in enumerate(spec.second_stages)]
        votes = list(votes_of(spec.rules))
        loaded = ", ".join(self.classifiers) or "none"
        for field, name in (*named, *((field, voted.classifier) for field, _, voted in votes)):
            if name not in self.classifiers:
                yield FieldViolation(
                    f"{field}.classifier",
                    f"{name!r} is not loaded; loaded: {loaded}. "
                    "engine.classifiers in the service's configuration names them",
                )
        for field, _, voted in votes:
            known = self.classifiers.get(voted.classifier, voted.classes)
            for index, label in enumerate(voted.classes):
                if label not in known:
                    yield FieldViolation(
                        f"{field}.classes[{index}]",
                        f"{label!r} is no class of {voted.classifier}; it has {', '.join(known)}",
                    )


def _backend_violations(backend: CaptureBackend) -> list[FieldViolation]:
    if backend is CaptureBackend.OPENCV or pyav_installed():
        return []
    detail = "PyAV is not installed with this service (pip install 'vigil[video]'); use OPENCV"
    return [FieldViolation("source.backend", detail)]


class StreamService(streams_pb2_grpc.StreamServiceServicer):
    """Serves the fleet's streams. Errors are raised; `vigil.api.calls` makes statuses of them."""

    def __init__(self, *, fleet: Fleet, reader: DefinitionReader, lasting: LastingCalls) -> None:
        self._fleet = fleet
        self._reader = reader
        self._lasting = lasting
        self._messages = StreamMessages()

    async def AddStream(  # noqa: N802 - the contract's name, as all of this class
        self, request: streams_pb2.AddStreamRequest, context: Any
    ) -> streams_pb2.AddStreamResponse:
        """Register and start a stream."""
        try:
            spec = self._reader.read(request.spec)
            stream = await self._fleet.add(spec)
        except InvalidRequest as error:
            raise within("spec", error) from None
        return streams_pb2.AddStreamResponse(stream=self._messages.of(stream))

    async def UpdateStream(  # noqa: N802
        self, request: streams_pb2.UpdateStreamRequest, context: Any
    ) -> streams_pb2.UpdateStreamResponse:
        """Change the fields that the mask names."""
        stream_id = _given_id("spec.stream_id", request.spec.stream_id)
        fields = _masked(request.update_mask.paths)
        held = self._fleet.get(stream_id).spec
        try:
            spec = self._reader.read_change(request.spec, held=held, fields=fields or CHANGEABLE)
            stream = await self._fleet.update(spec, fields=fields, generation=request.generation)
        except InvalidRequest as error:
            raise within("spec", error) from None
        return streams_pb2.UpdateStreamResponse(stream=self._messages.of(stream))

    async def RemoveStream(  # noqa: N802
        self, request: streams_pb2.RemoveStreamRequest, context: Any
    ) -> streams_pb2.RemoveStreamResponse:
        """Stop and forget a stream."""
        await self._fleet.remove(_given_id("stream_id", request.stream_id))
        return streams_pb2.RemoveStreamResponse()

    async def GetStream(  # noqa: N802
        self, request: streams_pb2.GetStreamRequest, context: Any
    ) -> streams_pb2.GetStreamResponse:
        """One stream with its state."""
        stream = self._fleet.get(_given_id("stream_id", request.stream_id))
        return streams_pb2.GetStreamResponse(stream=self._messages.of(stream))

    async def ListStreams(  # noqa: N802
        self, request: streams_pb2.ListStreamsRequest, context: Any
    ) -> streams_pb2.ListStreamsResponse:
        """A page of streams, in the order of their ids."""
        size = page_size(request.page_size)
        after = read_token(request.page_token)
        streams = self._visible(after, size + 1)
        page = streams[:size]
        response = streams_pb2.ListStreamsResponse(
            next_page_token=write_token(page[-1].spec.stream_id) if len(streams) > size else ""
        )
        for stream in page:
            self._messages.fill(response.streams.add(), stream)
        return response

    def _visible(self, after: str, limit: int) -> list[Stream]:
        """Up to ``limit`` of the caller's streams after an id: no page ends with one of another tenant."""
        caller, found = CALLER.get(), list[Stream]()
        while len(found) < limit:
            page = self._fleet.list(after=after, limit=limit)
            found += [stream for stream in page if caller.may_see(stream.spec.stream_id)]
            if len(page) < limit:
                break
            after = page[-1].spec.stream_id
        return found[:limit]

    async def WatchStreams(  # noqa: N802
        self, request: streams_pb2.WatchStreamsRequest, context: Any
    ) -> AsyncIterator[streams_pb2.WatchStreamsResponse]:
        """Every stream as it is, then each as it changes."""
        wanted = frozenset(request.stream_ids)

        async def changes() -> AsyncGenerator[Stream, None]:
            async for stream in self._fleet.watch():
                if not wanted or stream.spec.stream_id in wanted:
                    yield stream

        async for stream in self._lasting.follow(changes()):
            yield streams_pb2.WatchStreamsResponse(
                stream=self._messages.of(stream), removed=stream.removed
            )

    async def GetBaseline(  # noqa: N802
        self, request: streams_pb2.GetBaselineRequest, context: Any
    ) -> streams_pb2.GetBaselineResponse:
        """What a rule with a learnt limit holds for usual, by hour of the week."""
        stream_id = _given_id("stream_id", request.stream_id)
        if request.edge not in ("", *Edge):
            raise InvalidRequest([FieldViolation("edge", "use above, below or nothing")])
        baseline = await self._fleet.baseline(stream_id, request.rule_id, request.edge)
        return baseline_message(baseline)


def _given_id(field: str, stream_id: str) -> str:
    if not stream_id:
        raise InvalidRequest([FieldViolation(field, "is empty; name the stream")])
    return stream_id


def _masked(paths: Iterable[str]) -> frozenset[str]:
    """The fields that a mask names; none where it is empty or ``*``, which is all of them."""
    fields: set[str] = set()
    for index, path in enumerate(paths):
        if path == "*":
            return frozenset()
        if path in _MESSAGE_FIELDS - CHANGEABLE - {"stream_id"}:
            raise NotServedYet(f"{path} is not served by this version; leave it out")
        if path not in CHANGEABLE:
            raise InvalidRequest(
                [
                    FieldViolation(
                        f"update_mask.paths[{index}]",
                        f"is no changeable top-level field; those are {', '.join(sorted(CHANGEABLE))}",
                    )
                ]
            )
        fields.add(path)
    return frozenset(fields)

"""A whole service with its own Redis, and a client that waits for facts instead of sleeping."""

import asyncio
import contextlib
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from prometheus_client.parser import text_string_to_metric_families

from vigil.bench.embedded import EmbeddedVigil
from vigil.events.embedded import EmbeddedRedis
from vigil.events.reader import BEGINNING, Entry, page
from vigil.v1 import (
    analysis_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    rules_pb2,
    snapshots_pb2_grpc,
    streams_pb2,
    streams_pb2_grpc,
)

Status = streams_pb2.StreamStatus
CALL_TIMEOUT_S = 30.0
DOORS = [streams_pb2.Source.OPENCV, streams_pb2.Source.PYAV]  # the libraries that open sources
MARKER = rules_pb2.Rule(rule_id="mark", marker=rules_pb2.MarkerRule())
QUIET = {  # one thread of inference, time-outs that a test can wait for, streams whatever they cost
    "VIGIL_HOSTS__MAX_LOAD": "0",
    "VIGIL_ENGINE__THREADS": "1",
    "VIGIL_ENGINE__MAX_BATCH": "4",
    "VIGIL_CAPTURE__OPEN_TIMEOUT_S": "3",
    "VIGIL_CAPTURE__READ_TIMEOUT_S": "3",
}


@dataclass(slots=True)
class Account:
    """A stream's frames as one scrape shows them."""

    read: int = 0
    in_flight: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def balances(self) -> bool:
        return self.read == sum(self.outcomes.values()) + self.in_flight

    @property
    def failed(self) -> int:
        """Frames lost to something that broke; a busy machine drops those that come late, too."""
        return self.outcomes["dropped_error"] + self.outcomes["corrupt"]

    @property
    def dropped(self) -> dict[str, int]:
        return {name: n for name, n in self.outcomes.items() if n and name.startswith("dropped")}


class Samples:
    """One scrape: values by name and labels."""

    def __init__(self, text: str) -> None:
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Over all series that have these labels."""
        wanted = set(labels.items())
        return sum(v for (n, ls), v in self.values.items() if n == name and wanted <= ls)

    def accounts(self) -> dict[str, Account]:
        accounts: dict[str, Account] = {}
        for (name, labels), value in self.values.items():
            named = dict(labels)
            if name == "vigil_frames_read_total":
                accounts.setdefault(named["stream_id"], Account()).read = int(value)
            elif name == "vigil_frames_in_flight":
                accounts.setdefault(named["stream_id"], Account()).in_flight = int(value)
            elif name == "vigil_frames_total":
                account = accounts.setdefault(named["stream_id"], Account())
                account.outcomes[named["outcome"]] = int(value)
        return accounts


def happened_s(event: events_pb2.Event) -> float:
    """When it happened, UTC."""
    return float(event.occurred_at.ToNanoseconds() / 1e9)


class Site:
    """Entering it starts Redis and the service; the files under ``roots`` may be opened."""

    def __init__(
        self,
        folder: Path,
        *,
        models: Path,
        roots: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
        program: str = sys.executable,
    ) -> None:
        self.folder = folder
        self.log_path = folder / "vigil.log"
        self._stack = contextlib.ExitStack()
        self._models = models
        self._roots = roots
        self._program = program
        self._settings = settings or {}
        self._channel: grpc.Channel | None = None
        self.redis: EmbeddedRedis
        self.vigil: EmbeddedVigil

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.redis = stack.enter_context(EmbeddedRedis(self.folder / "redis"))
            log = stack.enter_context(self.log_path.open("ab"))
            self.vigil = EmbeddedVigil(
                self.folder / "state",
                redis_url=self.redis.url,
                file_roots=self._roots,
                settings={
                    "VIGIL_MODEL__FOLDER": str(self._models),
                    "VIGIL_MODEL__NAME": "grid",
                    **QUIET,
                    **self._settings,
                },
                log=log,
                program=self._program,
            )
            stack.callback(self.vigil.stop)
            stack.callback(self._hang_up)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the service, again after it was stopped or killed."""
        self._hang_up()
        self.vigil.start()
        self._channel = grpc.insecure_channel(self.vigil.addresses.grpc)
        self.streams = streams_pb2_grpc.StreamServiceStub(self._channel)
        self.events = events_pb2_grpc.EventServiceStub(self._channel)
        self.analysis = analysis_pb2_grpc.AnalysisServiceStub(self._channel)
        self.snapshots = snapshots_pb2_grpc.SnapshotServiceStub(self._channel)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    # streams

    def add(self, stream_id: str, uri: str, **fields: Any) -> streams_pb2.Stream:
        """Add a stream; ``fields`` of its definition, those of its source with ``source_`` before."""
        spec = spec_of(stream_id, uri, **fields)
        request = streams_pb2.AddStreamRequest(spec=spec)
        return self.streams.AddStream(request, timeout=CALL_TIMEOUT_S).stream

    def update(self, stream_id: str, *paths: str, **fields: Any) -> streams_pb2.Stream:
        """Change the fields that ``paths`` name."""
        request = streams_pb2.UpdateStreamRequest(spec=spec_of(stream_id, "", **fields))
        request.update_mask.paths.extend(paths)
        return self.streams.UpdateStream(request, timeout=CALL_TIMEOUT_S).stream

    def get(self, stream_id: str) -> streams_pb2.Stream:
        request = streams_pb2.GetStreamRequest(stream_id=stream_id)
        return self.streams.GetStream(request, timeout=CALL_TIMEOUT_S).stream

    def remove(self, *stream_ids: str) -> None:
        for stream_id in stream_ids:
            request = streams_pb2.RemoveStreamRequest(stream_id=stream_id)
            self.streams.RemoveStream(request, timeout=CALL_TIMEOUT_S)

    def remove_all(self) -> None:
        listed = self.streams.ListStreams(streams_pb2.ListStreamsRequest(), timeout=CALL_TIMEOUT_S)
        self.remove(*(stream.spec.stream_id for stream in listed.streams))

    def wait(
        self,
        stream_id: str,
        where: Callable[[streams_pb2.Stream], object],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> streams_pb2.Stream:
        """The stream as soon as it is as wanted, seen through WatchStreams."""
        request = streams_pb2.WatchStreamsRequest(stream_ids=[stream_id])
        call = self.streams.WatchStreams(request, timeout=timeout_s, wait_for_ready=True)
        seen: list[str] = []
        try:
            for answer in call:
                if where(answer.stream):
                    return answer.stream
                seen.append(str(answer.stream.status).replace("\n", " "))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        finally:
            call.cancel()
        raise AssertionError(f"{stream_id} was not as wanted in {timeout_s:g} s: {seen[-4:]}")

    def wait_online(self, stream_id: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        return self.wait(stream_id, is_online, timeout_s=timeout_s)

    def wait_offline(self, stream_id: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        return self.wait(stream_id, lambda s: s.status.state == Status.OFFLINE, timeout_s=timeout_s)

    # events

    @contextlib.contextmanager
    def watching(
        self,
        *stream_ids: str,
        types: Sequence[str] = (),
        cursor: str = "",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Iterator[Iterator[events_pb2.WatchEventsResponse]]:
        """Events as they come; the watch stands when the body begins."""
        request = events_pb2.WatchEventsRequest(
            filter=events_pb2.EventFilter(stream_ids=stream_ids, types=types), cursor=cursor
        )
        call = self.events.WatchEvents(request, timeout=timeout_s)
        call.initial_metadata()
        try:
            yield call
        finally:
            call.cancel()

    def wait_marks(self, stream_id: str, count: int, *, timeout_s: float = CALL_TIMEOUT_S) -> list:
        """The next marker events of a stream: one for each analysed frame."""
        with self.watching(stream_id, types=["marker"], timeout_s=timeout_s) as answers:
            return [next(answers).event for _ in range(count)]

    def listed(self, stream_id: str, **which: Any) -> list[events_pb2.Event]:
        """What the event log holds of a stream, from the beginning; ``which`` are fields of the filter."""
        where = events_pb2.EventFilter(stream_ids=[stream_id], **which)
        found: list[events_pb2.Event] = []
        request = events_pb2.ListEventsRequest(filter=where, page_size=1000)
        while True:
            answer = self.events.ListEvents(request, timeout=CALL_TIMEOUT_S)
            found += answer.events
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    def entries(self, stream_id: str | None = None) -> list[Entry]:
        """What lies in Redis, from the beginning."""
        found: list[Entry] = []
        after = BEGINNING
        while part := asyncio.run(page(self.redis.url, after=after)):
            found += part
            after = part[-1].entry_id
        return [entry for entry in found if stream_id in (None, entry.stream_id)]

    # metrics

    def scrape(self) -> Samples:
        return Samples(self.fetch("/metrics"))

    def fetch(self, path: str) -> str:
        url = f"http://{self.vigil.addresses.http}{path}"
        with urllib.request.urlopen(url, timeout=CALL_TIMEOUT_S) as answer:
            return str(answer.read().decode())

    def fetch_ready(self) -> bool:
        """Whether the service says over HTTP that it analyses frames."""
        try:
            return self.fetch("/readyz") == "ready\n"
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def spec_of(stream_id: str, uri: str, **fields: Any) -> streams_pb2.StreamSpec:
    """A definition; fields of its source have ``source_`` before their names."""
    own = {name: value for name, value in fields.items() if not name.startswith("source_")}
    spec = streams_pb2.StreamSpec(stream_id=stream_id, **own)
    source = {
        name.removeprefix("source_"): value
        for name, value in fields.items()
        if name.startswith("source_")
    }
    if uri:
        source["uri"] = uri
    if source:
        spec.source.CopyFrom(streams_pb2.Source(**source))
    return spec


def is_online(stream: streams_pb2.Stream) -> bool:
    """Frames of it are decoded, at the wanted rate or below."""
    return stream.status.state in (Status.ONLINE, Status.DEGRADED)


def retry_in_s(status: streams_pb2.StreamStatus) -> float:
    """How long from now until a stream that is away is tried again."""
    return status.next_retry.ToNanoseconds() / 1e9 - time.time()

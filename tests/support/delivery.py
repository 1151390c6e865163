"""What became of a service's events: its log, the Redis stream and a client's view of them, compared."""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from tests.support.site import Site
from vigil.events.reader import Entry
from vigil.events.schema import decode
from vigil.store.database import Database
from vigil.v1 import events_pb2


@dataclass(frozen=True, slots=True)
class Delivery:
    """How many events were kept, and how often one was sent again."""

    events: int
    copies: int


def check_delivery(state: Path, entries: list[Entry]) -> Delivery:
    """Assert that all kept events are in Redis, numbered without a gap, and copies are true ones.

    The service has ended, and has swept nothing away.
    """
    with Database(state, exclusive=False) as database:
        rows = database.read_now(
            lambda connection: connection.execute(
                "SELECT body FROM event ORDER BY cursor"
            ).fetchall()
        )
    kept = {read.event.event_id: read for (body,) in rows if (read := decode(body))}
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for read in kept.values():
        numbers[read.event.stream_id].append(read.event_seq)
    for stream_id, seqs in numbers.items():
        assert seqs == list(range(1, len(seqs) + 1)), f"numbers of {stream_id} have gaps"

    bodies: dict[str, dict[str, Any]] = {}
    sent: defaultdict[str, list[int]] = defaultdict(list)
    for entry in entries:
        body = json.loads(entry.data)
        assert body.pop("published_at"), "an event without the time of its publishing"
        if entry.event_id not in bodies:
            sent[entry.stream_id].append(body["event_seq"])
        assert bodies.setdefault(entry.event_id, body) == body, "copies differ"
    lost = kept.keys() - bodies.keys()
    assert not lost, f"{len(lost)} of {len(kept)} outboxed events are lost"
    assert sent == numbers, "Redis has another order"
    return Delivery(events=len(kept), copies=len(entries) - len(bodies))


class Follower:
    """A client that watches all events on a thread of its own, and goes on after its last cursor.

    Its view of a stream has neither gap nor repeat, however often the service dies.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._call: Any = None
        self._cursor = ""
        self._thread = threading.Thread(target=self._follow, name="follower")
        self.numbers: defaultdict[str, list[int]] = defaultdict(list)
        self.resumed = 0

    def __enter__(self) -> Self:
        answer = self._site.events.ListEvents(events_pb2.ListEventsRequest(), timeout=15)
        self._cursor = answer.cursor
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join()

    def check(self) -> int:
        """Assert that nothing was missed or shown twice; returns how many events were seen."""
        for stream_id, seqs in self.numbers.items():
            assert seqs == list(range(1, len(seqs) + 1)), f"the watch of {stream_id} has gaps"
        return sum(map(len, self.numbers.values()))

    def _follow(self) -> None:
        while not self._stop.is_set():
            request = events_pb2.WatchEventsRequest(cursor=self._cursor)
            before = self._cursor
            try:
                self._call = self._site.events.WatchEvents(request, wait_for_ready=True)
                for answer in self._call:
                    self._cursor = answer.cursor
                    self.numbers[answer.event.stream_id].append(answer.event.event_seq)
            except (grpc.RpcError, ValueError):  # the latter where the channel is closed already
                self.resumed += self._cursor != before
                self._stop.wait(0.05)

"""What a test of the gRPC edge holds in its hands."""

import grpc.aio

from tests.unit.api.memory_fleet import MemoryFleet
from vigil.api.server import Server
from vigil.events.outbox import Outbox
from vigil.fleet.event_pictures import EventPictures


class CallCounts:
    """Remembers what a metrics object would count."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []

    def call_handled(self, *, service: str, method: str, code: str, duration_s: float) -> None:
        assert duration_s >= 0
        self.calls.append((service, method, code))


class Site:
    """A server on a free port, and what stands behind it."""

    def __init__(
        self,
        server: Server,
        fleet: MemoryFleet,
        outbox: Outbox,
        counts: CallCounts,
        pictures: EventPictures,
    ) -> None:
        self.server = server
        self.fleet = fleet
        self.outbox = outbox
        self.counts = counts
        self.pictures = pictures
        self.channel = grpc.aio.insecure_channel(server.address)

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.event_pictures import kept_pictures
from tests.unit.api.loopback import CallCounts, Site
from tests.unit.api.memory_fleet import T0_S, MemoryFleet
from vigil.api.guard import Guard
from vigil.api.past import Past
from vigil.api.server import Security, Server
from vigil.api.stream_service import DefinitionReader
from vigil.clock import SystemClock
from vigil.config import GrpcConfig
from vigil.events.log import EventLog
from vigil.events.outbox import Outbox
from vigil.events.verdicts import Verdicts
from vigil.fleet.event_pictures import EventPictures
from vigil.fleet.policy import SourcePolicy
from vigil.spec import CaptureBackend
from vigil.store.database import Database


class StillClock:
    """Stands at the time of the fleet's events."""

    def monotonic_s(self) -> float:
        return 0.0

    def utc_s(self) -> float:
        return T0_S


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[tuple[Database, Outbox]]:
    with Database(tmp_path / "state") as database:
        outbox = Outbox(database, clock=StillClock())
        outbox.load()
        yield database, outbox


@pytest.fixture
async def pictures(tmp_path: Path) -> AsyncIterator[EventPictures]:
    async with kept_pictures(tmp_path / "snapshots") as (kept, _):
        yield kept


@pytest.fixture
def open_site(outbox: tuple[Database, Outbox], videos: Path, pictures: EventPictures) -> Any:
    @asynccontextmanager
    async def open_it(
        *, security: Security | None = None, **grpc_changes: Any
    ) -> AsyncIterator[Site]:
        database, box = outbox
        fleet, counts = MemoryFleet(), CallCounts()
        server = Server(
            GrpcConfig(**{"address": "127.0.0.1:0", "grace_s": 1.0, **grpc_changes}),
            fleet=fleet,
            past=Past(EventLog(database, box), Verdicts(database, StillClock()), pictures),
            reader=DefinitionReader(
                policy=SourcePolicy(file_roots=(videos,)),
                default_backend=CaptureBackend.OPENCV,
                model="vigil-det-n",
                classes=("person", "car", "truck"),
                classifiers={"vigil-vehicle-type": ("car", "truck"), "colour": ("red", "blue")},
                snapshots=True,
            ),
            security=security or Security(guard=Guard()),
            model="vigil-det-n",
            observer=counts,
            clock=SystemClock(),
        )
        async with server:
            site = Site(server, fleet, box, counts, pictures)
            async with site.channel:
                yield site

    return open_it


@pytest.fixture
async def site(open_site: Any) -> AsyncIterator[Site]:
    async with open_site() as opened:
        yield opened

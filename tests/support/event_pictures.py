"""Pictures of events without hosts: announced, taken and on disk."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import until_async
from tests.unit.api.memory_fleet import an_event
from vigil.clock import Clock, SystemClock
from vigil.fleet.event_pictures import EventPictures
from vigil.ipc.messages import EventPicture
from vigil.store.snapshots import SnapshotFolder

HOST = "host-1"
NAME = "gate/20260131T081500250Z-1-9.jpg"


class Counts(Counter[str]):
    """What a metrics object would count."""

    def on_snapshot_stored(self) -> None:
        self["stored"] += 1

    def on_snapshot_dropped(self, reason: str) -> None:
        self[reason] += 1

    def on_deleted(self, reason: str, pictures: int) -> None:
        self[f"deleted {reason}"] += pictures


@asynccontextmanager
async def kept_pictures(
    folder: Path, *, clock: Clock | None = None, **limits: Any
) -> AsyncIterator[tuple[EventPictures, Counts]]:
    counts = Counts()
    limits = {"retention_s": 1e9, "max_bytes": 2**30, "least_free_bytes": 0, **limits}
    snapshots = SnapshotFolder(folder, on_deleted=counts.on_deleted, **limits)
    async with EventPictures(snapshots, clock=clock or SystemClock(), observer=counts) as pictures:
        yield pictures, counts


async def keep(pictures: EventPictures, name: str, jpeg: bytes) -> None:
    """Have a picture stored, as a host would; returns when it is on disk."""
    count, _ = pictures.kept
    pictures.announced(HOST, [an_event(snapshot=name)])
    pictures.take(HOST, EventPicture(stream_id=name.partition("/")[0], name=name), jpeg)
    await until_async(lambda: pictures.kept[0] > count, what="the picture")

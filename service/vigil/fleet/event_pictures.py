"""Pictures of events on their way from hosts to the disk. No event waits for one: what fails is counted."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import NoReturn, Protocol, Self

import structlog

from vigil.clock import Clock
from vigil.data import Event, SnapshotName
from vigil.errors import Unavailable
from vigil.ipc.messages import EventPicture
from vigil.store.snapshots import SnapshotFolder

log = structlog.get_logger()

MOST_BYTES = 4 * 1024 * 1024  # of a picture: hosts send at most one
MOST_WAITING_BYTES = 32 * 1024 * 1024  # for a slow disk; more are lost
MOST_EXPECTED = 1024  # of a host
SWEEP_S = 60.0
STOP_S = 2.0  # for what waits to be written at the end


class PictureObserver(Protocol):
    """Who counts."""

    def on_snapshot_stored(self) -> None:
        """A picture is on disk."""

    def on_snapshot_dropped(self, reason: str) -> None:
        """A picture of an event is lost: busy, encoding, host_ended, backlog, storage."""


class EventPictures:
    """Takes the pictures that events have named, and no others, and has them written by a thread of its own.

    One event loop uses it. Entering reads the folder; leaving writes what waits, for STOP_S at most.
    """

    def __init__(self, folder: SnapshotFolder, *, clock: Clock, observer: PictureObserver) -> None:
        self._folder = folder
        self._clock = clock
        self._observer = observer
        self._expected: defaultdict[str, set[str]] = defaultdict(set)  # by host
        self._waiting: deque[tuple[SnapshotName, bytes]] = deque()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._failing = False  # as it was logged
        self._writer = ThreadPoolExecutor(1, "vigil-snapshots")
        self._tasks: tuple[asyncio.Task[NoReturn], ...] = ()

    @property
    def kept(self) -> tuple[int, int]:
        """How many pictures are on disk, and their bytes."""
        return self._folder.count, self._folder.used_bytes

    async def __aenter__(self) -> Self:
        await self._off_loop(self._folder.open)
        self._idle.set()
        self._tasks = (
            asyncio.create_task(self._write_for_ever(), name="snapshots-write"),
            asyncio.create_task(self._sweep_for_ever(), name="snapshots-sweep"),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.shutdown(wait=False, cancel_futures=True)

    def announced(self, host_id: str, events: Iterable[Event]) -> None:
        """Events of a host; what they name is on its way."""
        expected = self._expected[host_id]
        expected.update(event.snapshot for event in events if event.snapshot is not None)
        if len(expected) > MOST_EXPECTED:
            self.host_ended(host_id)

    def take(self, host_id: str, message: EventPicture, jpeg: bytes) -> None:
        """What a host says of a picture. One that no event of the host has named is left."""
        if message.lost and not message.name:
            self._observer.on_snapshot_dropped(message.lost)
            return
        name = SnapshotName.parse(message.name)
        if name is None or message.name not in self._expected[host_id]:
            log.warning("snapshot_unasked", host=host_id, name=message.name[:128])
            return
        self._expected[host_id].discard(message.name)
        if message.lost or not 0 < len(jpeg) <= MOST_BYTES or name.stream_id != message.stream_id:
            self._observer.on_snapshot_dropped(message.lost or "encoding")
        elif self._waiting_bytes + len(jpeg) > MOST_WAITING_BYTES:
            self._observer.on_snapshot_dropped("backlog")
        else:
            self._waiting.append((name, jpeg))
            self._waiting_bytes += len(jpeg)
            self._idle.clear()
            self._more.set()

    def host_ended(self, host_id: str) -> None:
        """What a host had announced and not sent will not come."""
        for _ in self._expected.pop(host_id, ()):
            self._observer.on_snapshot_dropped("host_ended")

    async def read(self, name: SnapshotName) -> bytes | None:
        """A picture's JPEG; None where it is not kept. Raises Unavailable where the disk fails."""
        try:
            return await asyncio.to_thread(self._folder.read, name)
        except OSError as error:
            raise Unavailable(f"the picture cannot be read: {error.strerror}") from error

    async def _write_for_ever(self) -> NoReturn:
        while True:
            await self._more.wait()
            while self._waiting:
                name, jpeg = self._waiting.popleft()
                try:
                    await self._off_loop(partial(self._folder.put, name, jpeg))
                except OSError as error:
                    self._observer.on_snapshot_dropped("storage")
                    self._note(error)
                else:
                    self._observer.on_snapshot_stored()
                    self._note(None)
                self._waiting_bytes -= len(jpeg)
            self._more.clear()
            self._idle.set()

    async def _sweep_for_ever(self) -> NoReturn:
        while True:
            try:
                await self._off_loop(lambda: self._folder.sweep(now_s=self._clock.utc_s()))
            except OSError as error:
                self._note(error)
            await asyncio.sleep(SWEEP_S)

    async def _off_loop(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def _note(self, error: OSError | None) -> None:
        """One line when the disk begins to fail, and one when it is well again."""
        if (error is not None) == self._failing:
            return
        self._failing = error is not None
        if error is not None:
            log.error("snapshots_lost", detail=error.strerror or str(error))
        else:
            log.info("snapshots_stored_again")

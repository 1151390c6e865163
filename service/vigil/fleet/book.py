"""What every stream is doing, and who wants to know."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from msgspec.structs import replace

from vigil.clock import Clock
from vigil.data import StreamState
from vigil.errors import UnknownStream
from vigil.fleet.contract import Stream, StreamStatus
from vigil.ipc.messages import StreamReport
from vigil.spec import StreamSpec


class StreamBook:
    """The newest state of each stream; watchers see every stream, then changes, newest only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._watchers: set[_Watcher] = set()

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._streams

    def enter(self, spec: StreamSpec, generation: int) -> None:
        """A stream is new."""
        state = StreamState.PENDING if spec.enabled else StreamState.DISABLED
        status = StreamStatus(state=state, since_s=self._clock.utc_s())
        self._put(Stream(spec=spec, generation=generation, status=status))

    def define(self, spec: StreamSpec, generation: int) -> None:
        """A stream's definition changed."""
        self._put(replace(self.get(spec.stream_id), spec=spec, generation=generation))

    def remove(self, stream_id: str) -> None:
        """A stream is gone; watchers get its last state, marked so."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._tell(replace(stream, removed=True))

    def get(self, stream_id: str) -> Stream:
        """One stream. Raises UnknownStream."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise UnknownStream(
                f"no stream {stream_id!r} is registered: ListStreams names those that are"
            ) from None

    def all(self) -> list[Stream]:
        """Every stream."""
        return list(self._streams.values())

    def note(self, report: StreamReport) -> None:
        """A host reports a stream's state; the last known picture size outlives a connection."""
        if report.stream_id not in self._streams:
            return
        status = self._streams[report.stream_id].status
        retry_in_s = report.retry_in_s
        self.set(
            report.stream_id,
            state=report.state,
            reason=report.reason,
            detail=report.detail,
            next_retry_s=None if retry_in_s is None else self._clock.utc_s() + retry_in_s,
            width_px=report.width_px or status.width_px,
            height_px=report.height_px or status.height_px,
            source_fps=report.source_fps or status.source_fps,
            reconnects=report.reconnects,
            analysed_fps=status.analysed_fps if report.state is StreamState.ONLINE else 0.0,
        )

    def set(self, stream_id: str, **changes: Any) -> None:
        """Change fields of a stream's status; the time of its state with the state.

        OFFLINE and CONNECTING by turns are one: since when there is no picture outlives every try.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        status = replace(stream.status, **changes)
        if status == stream.status:
            return
        before = stream.status
        away = {status.state, before.state} == {StreamState.OFFLINE, StreamState.CONNECTING}
        if (status.state, status.reason) != (before.state, before.reason) and not away:
            status = replace(status, since_s=self._clock.utc_s())
        self._put(replace(stream, status=status))

    async def watch(self) -> AsyncIterator[Stream]:
        """Every stream as it is, then each as it changes."""
        watcher = _Watcher(dict(self._streams))
        self._watchers.add(watcher)
        try:
            while True:
                for stream in await watcher.changed():
                    yield stream
        finally:
            self._watchers.discard(watcher)

    def _put(self, stream: Stream) -> None:
        self._streams[stream.spec.stream_id] = stream
        self._tell(stream)

    def _tell(self, stream: Stream) -> None:
        for watcher in self._watchers:
            watcher.tell(stream)


class _Watcher:
    """What one watcher has not been shown yet: bounded by the number of streams."""

    def __init__(self, first: dict[str, Stream]) -> None:
        self._news = first
        self._some = asyncio.Event()
        if first:
            self._some.set()

    def tell(self, stream: Stream) -> None:
        self._news[stream.spec.stream_id] = stream
        self._some.set()

    async def changed(self) -> list[Stream]:
        await self._some.wait()
        self._some.clear()
        news, self._news = self._news, {}
        return list(news.values())

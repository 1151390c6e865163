"""A client's session of pushed frames."""

from collections.abc import Awaitable, Callable
from types import TracebackType

from vigil.fleet.contract import FrameResult
from vigil.fleet.host import HostKeeper
from vigil.fleet.pictures import Pictures
from vigil.ipc.messages import EndPush


class LocalPushSession:
    """Serves `vigil.fleet.contract.PushSession` on one machine."""

    def __init__(
        self,
        stream_id: str,
        *,
        host: HostKeeper,
        pictures: Pictures,
        close: Callable[[str], Awaitable[None]],
    ) -> None:
        self._stream_id = stream_id
        self._host = host
        self._pictures = pictures
        self._close = close

    async def __aenter__(self) -> "LocalPushSession":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the run; a stream made for this session goes with it."""
        self._host.send(EndPush(stream_id=self._stream_id))
        await self._close(self._stream_id)

    async def push(self, encoded: bytes, *, captured_at_s: float | None) -> FrameResult:
        """Analyse one encoded picture."""
        return await self._pictures.push(
            self._host, self._stream_id, encoded, captured_at_s=captured_at_s
        )

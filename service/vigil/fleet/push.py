"""A client's session of pushed frames."""

from collections.abc import Awaitable, Callable
from types import TracebackType

from vigil.fleet.contract import FrameResult, PictureResult
from vigil.fleet.host import HostKeeper
from vigil.fleet.requests import Requests, raise_refusal
from vigil.ipc.messages import EndPush, PictureAnalysed, PushFrame


class LocalPushSession:
    """Serves `vigil.fleet.contract.PushSession` on one machine."""

    def __init__(
        self,
        stream_id: str,
        *,
        host: HostKeeper,
        requests: Requests,
        result: Callable[[PictureAnalysed], PictureResult],
        close: Callable[[str], Awaitable[None]],
    ) -> None:
        self._stream_id = stream_id
        self._host = host
        self._requests = requests
        self._result = result
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
        self._host.expect_process()
        number, future = self._requests.ask_picture(self._host.host_id)
        self._host.send(
            PushFrame(request_id=number, stream_id=self._stream_id, captured_at_s=captured_at_s),
            payload=encoded,
        )
        answer = await self._requests.answer(number, future)
        raise_refusal(answer)
        return FrameResult(
            seq=answer.seq, run=answer.run, picture=self._result(answer), events=answer.events
        )

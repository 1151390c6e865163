"""Ends of runs on their way into the book: shown once everything that the run told is in the event log."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

KEPT_S = 5.0  # as long as the outbox waits for room: a disk that hangs hides no state for longer
LATE = f"; its last events were not on disk after {KEPT_S:g} s"


async def kept_in_time(kept: Awaitable[None]) -> bool:
    """Wait until events are on disk or counted as lost, for KEPT_S at most; False where they are not."""
    try:
        async with asyncio.timeout(KEPT_S):  # wait_for may lose a cancellation before Python 3.12
            await kept
    except TimeoutError:
        return False
    return True


class Endings:
    """Who sees that a run is over can list its events: until they are kept, its end is held.

    One end a stream at most: newer news of the stream takes the place of one that is held. One event
    loop uses it.
    """

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Task[None]] = {}

    def hold(
        self,
        stream_id: str,
        kept: Callable[[], Awaitable[None]],
        show: Callable[[str], None],
    ) -> None:
        """Call ``show`` after ``kept``, with "", or after KEPT_S, with LATE for the end of what is shown."""
        self.forget(stream_id)
        self._held[stream_id] = asyncio.create_task(
            self._show(stream_id, kept, show), name=f"end-of-{stream_id}"
        )

    def forget(self, stream_id: str) -> None:
        """What is held of a stream is no longer news."""
        held = self._held.pop(stream_id, None)
        if held is not None:
            held.cancel()

    async def _show(
        self, stream_id: str, kept: Callable[[], Awaitable[None]], show: Callable[[str], None]
    ) -> None:
        late = ""
        if not await kept_in_time(kept()):
            late = LATE
            log.warning("end_before_its_events", stream_id=stream_id, waited_s=KEPT_S)
        del self._held[stream_id]
        show(late)

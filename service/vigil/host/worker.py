"""A thread for picture work that must not hold up the host's loop: decoding, encoding."""

import queue
import threading
from collections.abc import Callable

import structlog

from vigil.errors import Busy
from vigil.ipc.channel import ChannelClosed

log = structlog.get_logger()

MOST_WAITING = 64  # pieces of work; more are refused
STOP_TIMEOUT_S = 5.0


class Worker:
    """Does one piece of work after the other, in the order in which it is given."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin working."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end."""
        self._work.put(None)
        self._thread.join(STOP_TIMEOUT_S)

    def give(self, work: Callable[[], None]) -> None:
        """Queue a client's work. Raises Busy where too much waits."""
        if self._work.qsize() >= MOST_WAITING:
            raise Busy("too many pictures wait; send fewer at once")
        self._work.put(work)

    def give_own(self, work: Callable[[], None]) -> None:
        """Queue the host's own work, which is never refused: its callers bound it."""
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except ChannelClosed:
                return
            except Exception:  # one client's picture must not end the thread that all clients share
                log.exception("picture_failed")

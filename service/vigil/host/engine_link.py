"""A host's side of its conversation with the engine: who holds which slot."""

import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import Generic, TypeVar

from vigil.data import U8
from vigil.ipc.channel import Channel, ChannelClosed, limit_sending
from vigil.ipc.messages import FrameDone, FrameReady
from vigil.ipc.slab import Slots

SEND_TIMEOUT_S = 1.0
STOP_POLL_S = 0.25  # how soon a reader that waits for the engine notices that it is stopped

Carried = TypeVar("Carried")


class SlotPool:
    """The free slots of one camera, or of client pictures. Bounded by their number."""

    def __init__(self, slots: range) -> None:
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)

    def take(self, *, timeout_s: float = 0.0) -> int | None:
        """A free slot, waiting up to ``timeout_s`` for one; None if there is none."""
        try:
            return self._free.get(block=timeout_s > 0, timeout=timeout_s or None)
        except queue.Empty:
            return None

    def take_unless(self, stop: threading.Event, *, timeout_s: float) -> int | None:
        """A free slot, waiting up to ``timeout_s`` for one, but no longer than until ``stop``."""
        slot = self.take()
        deadline_s = time.monotonic() + timeout_s
        while slot is None and not stop.is_set() and time.monotonic() < deadline_s:
            slot = self.take(timeout_s=STOP_POLL_S)
        return slot

    def give_back(self, slot: int) -> None:
        """The slot may be written again."""
        self._free.put(slot)


@dataclass(frozen=True, slots=True)
class InTransit(Generic[Carried]):
    """A frame that the engine has, and what its camera wants to know when it comes back."""

    pool: SlotPool
    carried: Carried


class EngineLink(Generic[Carried]):
    """Frames out, results in. Readers submit from their threads; the host's loop takes results."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._channel: Channel[FrameReady, FrameDone] | None = None
        self._attached = threading.Event()
        self._in_transit: dict[int, InTransit[Carried]] = {}  # by slot

    @property
    def channel(self) -> Channel[FrameReady, FrameDone] | None:
        """The present conversation, for the host's selector; None while there is no engine."""
        return self._channel

    def picture(self, slot: int) -> U8:
        """A slot's pixels: (H, W, 3) uint8 BGR of the model's input size."""
        return self._slots[slot]

    def attach(self, fd: int) -> None:
        """Talk to a new engine."""
        sock = socket.socket(fileno=fd)
        limit_sending(sock, SEND_TIMEOUT_S)
        self._channel = Channel(sock, FrameDone)
        self._attached.set()

    def wait_attached(self, timeout_s: float, stop: threading.Event) -> bool:
        """Whether there is an engine, waiting for one up to ``timeout_s``, or until ``stop``."""
        deadline_s = time.monotonic() + timeout_s
        while not self._attached.wait(STOP_POLL_S):
            if stop.is_set() or time.monotonic() >= deadline_s:
                return False
        return True

    def detach(self) -> list[Carried]:
        """The engine is gone: what it held comes back, and its slots are free."""
        self._attached.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        lost: list[Carried] = []
        for slot in list(self._in_transit):
            transit = self._in_transit.pop(slot, None)
            if transit is not None:
                transit.pool.give_back(slot)
                lost.append(transit.carried)
        return lost

    def submit(self, frame: FrameReady, *, pool: SlotPool, carried: Carried) -> bool:
        """Hand a written slot to the engine; False, with the slot free again, if there is none."""
        channel = (
            self._channel
        )  # first: a frame that `detach` takes back must not go to the next engine
        self._in_transit[frame.slot] = InTransit(pool, carried)
        try:
            if channel is None:
                raise ChannelClosed("no engine")
            channel.send(frame)
        except (ChannelClosed, BlockingIOError):
            # the loop's detach may have taken it back already: then it is accounted for there
            if self._in_transit.pop(frame.slot, None) is None:
                return True
            pool.give_back(frame.slot)
            return False
        return True

    def results(self) -> list[tuple[Carried, FrameDone]]:
        """What the engine gave back since the last call. Raises ChannelClosed when it is gone."""
        if self._channel is None:
            return []
        results: list[tuple[Carried, FrameDone]] = []
        for parcel in self._channel.drain():
            done = parcel.message
            transit = self._in_transit.pop(done.slot, None)
            if transit is not None:
                transit.pool.give_back(done.slot)
                results.append((transit.carried, done))
        return results

"""A host's side of its conversation with the engine: who holds which slot."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from vigil.data import F32, U8
from vigil.ipc.channel import Channel, ChannelClosed, limit_sending
from vigil.ipc.messages import (
    CropDone,
    CropReady,
    EngineToHost,
    ExplainDone,
    ExplainReady,
    FrameDone,
    FrameReady,
    HostToEngine,
)
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


class InTransit(NamedTuple, Generic[Carried]):
    """A frame that the engine has, and what its camera wants to know when it comes back."""

    pool: SlotPool
    carried: Carried


class CropTransit(Protocol):
    """A crop that the engine has: its owner is told what became of it, on the host's loop."""

    def classified(self, probabilities: F32) -> None:
        """The engine's answer: the classifier's calibrated probabilities (classes,)."""

    def dropped(self) -> None:
        """The engine gave it back without an answer, or is gone."""


class CropSlots:
    """The slots of crops, which all cameras of the host share."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.pool = SlotPool(range(slots.count))
        self.in_transit: dict[int, CropTransit] = {}  # by slot

    def picture(self, slot: int, side_px: int) -> U8:
        """Where a slot's crop is written: (side_px, side_px, 3)."""
        return self._slots[slot][:side_px, :side_px]

    def take_back(self, slot: int) -> CropTransit | None:
        """Free a slot; gives whose crop was in it."""
        transit = self.in_transit.pop(slot, None)
        if transit is not None:
            self.pool.give_back(slot)
        return transit


Explained: TypeAlias = Callable[[ExplainDone], None]
"""What to do with an explanation, on the host's loop."""


class Returned(NamedTuple, Generic[Carried]):
    """What the engine gave back, each kind in its order."""

    frames: list[tuple[Carried, FrameDone]]
    crops: list[tuple[CropTransit, CropDone]]
    explained: list[tuple[Explained, ExplainDone]]


class Lost(NamedTuple, Generic[Carried]):
    """What an engine that is gone had."""

    frames: list[Carried]
    crops: list[CropTransit]
    explained: list[tuple[Explained, ExplainDone]]


class EngineLink(Generic[Carried]):
    """Frames and crops out, results in. Readers submit from their threads; the host's loop takes results."""

    def __init__(self, slots: Slots, crop_slots: Slots) -> None:
        self._slots = slots
        self.crops = CropSlots(crop_slots)
        self._channel: Channel[HostToEngine, EngineToHost] | None = None
        self._attached = threading.Event()
        self._in_transit: dict[int, InTransit[Carried]] = {}  # by slot
        self._asked: dict[int, Explained] = {}  # by request

    @property
    def channel(self) -> Channel[HostToEngine, EngineToHost] | None:
        """The present conversation, for the host's selector; None while there is no engine."""
        return self._channel

    def picture(self, slot: int) -> U8:
        """A slot's pixels: (H, W, 3) uint8 BGR of the model's input size."""
        return self._slots[slot]

    def attach(self, fd: int) -> None:
        """Talk to a new engine."""
        sock = socket.socket(fileno=fd)
        limit_sending(sock, SEND_TIMEOUT_S)
        self._channel = Channel(sock, EngineToHost)
        self._attached.set()

    def wait_attached(self, timeout_s: float, stop: threading.Event) -> bool:
        """Whether there is an engine, waiting for one up to ``timeout_s``, or until ``stop``."""
        deadline_s = time.monotonic() + timeout_s
        while not self._attached.wait(STOP_POLL_S):
            if stop.is_set() or time.monotonic() >= deadline_s:
                return False
        return True

    def detach(self) -> Lost[Carried]:
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
        taken = [self.crops.take_back(slot) for slot in list(self.crops.in_transit)]
        asked, self._asked = self._asked, {}
        return Lost(
            lost,
            [crop for crop in taken if crop is not None],
            [(then, _unanswered(request_id)) for request_id, then in asked.items()],
        )

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

    def submit_crop(self, crop: CropReady, *, carried: CropTransit) -> bool:
        """Hand a written crop to the engine; False, with its slot free again, if there is none."""
        channel = self._channel
        self.crops.in_transit[crop.slot] = carried
        try:
            if channel is None:
                raise ChannelClosed("no engine")
            channel.send(crop)
        except (ChannelClosed, BlockingIOError):
            # the loop's detach may have taken it back already: then its owner is told there
            return self.crops.take_back(crop.slot) is None
        return True

    def explain(self, asked: ExplainReady, *, pixels: bytes, then: Explained) -> bool:
        """Ask what speaks for an answer; False where there is no engine. The host's loop calls it."""
        channel = self._channel
        if channel is None:
            return False
        self._asked[asked.request_id] = then
        try:
            channel.send(asked, payload=pixels)
        except (ChannelClosed, BlockingIOError):
            return self._asked.pop(asked.request_id, None) is None
        return True

    def results(self) -> Returned[Carried]:
        """What the engine gave back since the last call. Raises ChannelClosed when it is gone."""
        returned: Returned[Carried] = Returned([], [], [])
        if self._channel is None:
            return returned
        for parcel in self._channel.drain():
            done = parcel.message
            if isinstance(done, ExplainDone):
                if (then := self._asked.pop(done.request_id, None)) is not None:
                    returned.explained.append((then, done))
                continue
            if isinstance(done, CropDone):
                if (crop := self.crops.take_back(done.slot)) is not None:
                    returned.crops.append((crop, done))
                continue
            transit = self._in_transit.pop(done.slot, None)
            if transit is not None:
                transit.pool.give_back(done.slot)
                returned.frames.append((transit.carried, done))
        return returned


def _unanswered(request_id: int) -> ExplainDone:
    detail = "the engine is starting or was restarted; ask again"
    return ExplainDone(request_id=request_id, error=detail, error_kind="unavailable")

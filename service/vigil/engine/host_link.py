"""The engine's side of its conversation with one host: slots in, results out."""

from collections import deque

from vigil.data import F32, U8, CropOutcome, Detections
from vigil.ipc.channel import Channel
from vigil.ipc.messages import (
    CropDone,
    CropReady,
    EngineTimes,
    EngineToHost,
    ExplainDone,
    FrameDone,
    FrameReady,
    HostToEngine,
)
from vigil.ipc.slab import Slots


class HostLink:
    """Frames and crops of one host. Sending never blocks the engine: what does not fit now waits here.

    What waits is bounded by the host's slots: it can have no more out than those.
    """

    def __init__(
        self,
        host_id: str,
        channel: Channel[EngineToHost, HostToEngine],
        *,
        slots: Slots,
        crop_slots: Slots,
    ) -> None:
        self.host_id = host_id
        self.channel = channel
        self._slots = slots
        self._crop_slots = crop_slots
        self.blocked = False  # the host does not read: its socket took no more
        self._unsent: deque[EngineToHost] = deque()

    def picture(self, frame: FrameReady) -> U8:
        """The frame's pixels, where the host wrote them: (H, W, 3) uint8 BGR."""
        return self._slots[frame.slot]

    def analysed(
        self,
        frame: FrameReady,
        found: Detections,
        *,
        infer_s: float,
        times: EngineTimes | None = None,
    ) -> None:
        """Give the slot back with what was found; ``times`` of a frame that is traced."""
        self._give_back(
            FrameDone(
                slot=frame.slot,
                outcome="analysed",
                xyxy=found.xyxy.tobytes(),
                score=found.score.tobytes(),
                class_id=found.class_id.tobytes(),
                infer_s=infer_s,
                times=times,
            )
        )

    def dropped_newer(self, frame: FrameReady) -> None:
        """Give the slot back: a newer frame of the stream took its place."""
        self._give_back(FrameDone(slot=frame.slot, outcome="dropped_newer"))

    def dropped_stale(self, frame: FrameReady) -> None:
        """Give the slot back: the frame grew too old."""
        self._give_back(FrameDone(slot=frame.slot, outcome="dropped_stale"))

    def dropped_error(self, frame: FrameReady, *, quarantined: bool = False) -> None:
        """Give the slot back: the net failed on it, or on so many before it that it was not tried."""
        self._give_back(
            FrameDone(slot=frame.slot, outcome="dropped_error", quarantined=quarantined)
        )

    def crop(self, crop: CropReady, side_px: int) -> U8:
        """A crop's pixels: (side_px, side_px, 3) uint8 BGR."""
        return self._crop_slots[crop.slot][:side_px, :side_px]

    def classified(self, crop: CropReady, probabilities: F32) -> None:
        """Give a crop's slot back with its classes' probabilities (classes,)."""
        self._give_back(
            CropDone(slot=crop.slot, outcome="classified", probabilities=probabilities.tobytes())
        )

    def crop_dropped(self, crop: CropReady, outcome: CropOutcome) -> None:
        """Give a crop's slot back without an answer."""
        self._give_back(CropDone(slot=crop.slot, outcome=outcome))

    def explained(self, done: ExplainDone) -> None:
        """Send the answer to a question."""
        self._give_back(done)

    @property
    def has_unsent(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send what waits, as far as it can be. Raises ChannelClosed."""
        while self._unsent:
            try:
                self.channel.send(self._unsent[0])
            except BlockingIOError:
                break
            self._unsent.popleft()
        self.blocked = bool(self._unsent)

    def close(self) -> None:
        """Let go of the host's memory and socket."""
        self.channel.close()
        self._slots.slab.close()
        self._crop_slots.slab.close()

    def _give_back(self, done: EngineToHost) -> None:
        self._unsent.append(done)

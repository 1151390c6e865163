"""Which crops go into the next batch of a classifier, and when it goes. Pure policy: no sockets, no clock."""

from collections import deque
from dataclasses import dataclass

from vigil.ipc.messages import CropReady

MAX_CROPS = 8  # in a batch: more is no cheaper a crop, holds a lane for longer and takes memory
LINGER_S = 0.05  # nobody waits for a crop's class as for a detection: fuller batches cost less
MAX_AGE_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class WaitingCrop:
    """A crop in a host's slot that waits for its batch."""

    host_id: str
    crop: CropReady


class CropQueue:
    """Crops of all cameras in the order of their coming. Bounded by the hosts' slots for crops.

    The engine infers at most one batch of crops between two batches of frames: a second stage holds a
    detection up by one such batch at most, however many crops wait.
    """

    def __init__(
        self,
        *,
        limit: int = MAX_CROPS,
        linger_s: float = LINGER_S,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self.limit = limit
        self.linger_s = linger_s
        self.max_age_s = max_age_s
        self._waiting: dict[str, deque[WaitingCrop]] = {}  # by classifier

    def __len__(self) -> int:
        return sum(len(crops) for crops in self._waiting.values())

    def offer(self, waiting: WaitingCrop) -> None:
        """Add a crop."""
        self._waiting.setdefault(waiting.crop.classifier, deque()).append(waiting)

    def forget(self, host_id: str) -> None:
        """Drop what a host that is gone had waiting."""
        kept = {
            name: deque(crop for crop in crops if crop.host_id != host_id)
            for name, crops in self._waiting.items()
        }
        self._waiting = {name: crops for name, crops in kept.items() if crops}

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the next batch should go: 0 for now, None while nothing waits."""
        if not self._waiting:
            return None
        if any(len(crops) >= self.limit for crops in self._waiting.values()):
            return 0.0
        return max(0.0, self._oldest()[0].crop.ready_s + self.linger_s - now_s)

    def take(self, now_s: float) -> tuple[list[WaitingCrop], list[WaitingCrop]]:
        """Remove the next batch, of the classifier whose crop has waited longest; those too old are apart."""
        crops = self._oldest()
        taken = [crops.popleft() for _ in range(min(self.limit, len(crops)))]
        if not crops:
            del self._waiting[taken[0].crop.classifier]
        stale = [one for one in taken if now_s - one.crop.ready_s > self.max_age_s]
        return [one for one in taken if one not in stale], stale

    def _oldest(self) -> deque[WaitingCrop]:
        return min(self._waiting.values(), key=lambda crops: crops[0].crop.ready_s)

"""Which frames go into the next batch, and when it goes. Pure policy: no sockets, no clock."""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from vigil.ipc.messages import FrameReady

PATIENCE = 5.0  # lingers that frames wait for a full batch while another batch is being inferred

Key: TypeAlias = tuple[str, int]  # host and camera


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A frame in a host's slot that waits for its batch."""

    host_id: str
    frame: FrameReady
    arrived_s: float  # when the engine learnt of it

    @property
    def key(self) -> Key:
        """Whose frame it is. Below 0 a camera is none: pictures that clients sent."""
        return self.host_id, self.frame.camera


class BatchQueue:
    """Frames that wait, bounded at one a stream: a newer frame replaces the one that waits.

    Frames that must be kept (pictures a client sent, files played as fast as they are analysed) wait
    in their own order; their hosts' slots bound them. A batch holds at most one frame a stream, those
    of the streams first that have waited longest, weighted by priority: under overload each stream is
    analysed less often, none never. It goes when it is full, or when the oldest
    frame has waited ``linger_s``; beside another batch, when it has waited `PATIENCE` times as long, for
    two small batches cost more than one.

    The frames of a stream are inferred one after the other: while one is held, its others wait.

    A frame of priority 0 gets what capacity is spare: while any other frame waits, it is as if not there.
    """

    def __init__(self, *, limit: int, linger_s: float, max_staleness_s: float) -> None:
        self.limit = limit
        self.linger_s = linger_s
        self.max_staleness_s = max_staleness_s
        self._newest: dict[Key, Waiting] = {}
        self._kept: dict[Key, deque[Waiting]] = {}
        self._held: set[Key] = set()  # streams of which a frame is being inferred
        # since when a stream has waited for its turn, whichever of its frames it is that waits now: else
        # a newer frame would send its stream to the end of the line, for ever under overload
        self._in_line_since_s: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._newest) + sum(len(kept) for kept in self._kept.values())

    def offer(self, waiting: Waiting) -> Waiting | None:
        """Add a frame; returns the older frame of its stream that it replaces, if there is one."""
        key = waiting.key
        if waiting.frame.keep:
            self._kept.setdefault(key, deque()).append(waiting)
            return None
        replaced = self._newest.get(key)
        self._newest[key] = waiting
        self._in_line_since_s.setdefault(key, waiting.frame.ready_s)
        return replaced

    def forget(self, host_id: str) -> None:
        """Drop what a host that is gone had waiting."""
        self._newest = {key: value for key, value in self._newest.items() if key[0] != host_id}
        self._kept = {key: value for key, value in self._kept.items() if key[0] != host_id}
        self._in_line_since_s = {
            key: value for key, value in self._in_line_since_s.items() if key[0] != host_id
        }
        self._held = {key for key in self._held if key[0] != host_id}

    def hold(self, waiting: Waiting) -> None:
        """A frame is being inferred: no other one of its stream is taken until `release`."""
        if waiting.frame.camera >= 0:
            self._held.add(waiting.key)

    def release(self, waiting: Waiting) -> None:
        """A frame that was held has been inferred."""
        self._held.discard(waiting.key)

    def wait_s(self, now_s: float, *, beside: bool = False) -> float | None:
        """Seconds until the next batch should go: 0 for now, None while none could.

        ``beside`` another one that is being inferred.
        """
        ready = self._candidates()
        if not ready:
            return None
        if len(ready) >= self.limit:
            return 0.0
        linger_s = self.linger_s * (PATIENCE if beside else 1.0)
        return max(0.0, min(waiting.arrived_s for waiting in ready) + linger_s - now_s)

    def take(self, now_s: float) -> tuple[list[Waiting], list[Waiting]]:
        """Remove the next batch, and beside it every frame that has become too old to infer."""
        stale = [
            waiting
            for waiting in self._newest.values()
            if now_s - waiting.frame.captured_s > self.max_staleness_s
        ]
        for waiting in stale:
            del self._newest[waiting.key]
        candidates = sorted(
            self._candidates(),
            key=lambda waiting: self._urgency(waiting, now_s),
            reverse=True,
        )
        batch = candidates[: self.limit]
        for waiting in batch:
            self._remove(waiting)
        return batch, stale

    def oldest_captured_s(self) -> float | None:
        """Capture time of the oldest frame that waits, None where none does."""
        heads = _urgent([*self._newest.values(), *(kept[0] for kept in self._kept.values())])
        return min((waiting.frame.captured_s for waiting in heads), default=None)

    def _candidates(self) -> list[Waiting]:
        """Frames that may go in the next batch: one a stream, and all pictures of clients."""
        ready = [waiting for key, waiting in self._newest.items() if key not in self._held]
        for key, kept in self._kept.items():
            if key not in self._held:
                ready.extend(kept if key[1] < 0 else [kept[0]])
        return _urgent(ready)

    def _urgency(self, waiting: Waiting, now_s: float) -> float:
        since_s = self._in_line_since_s.get(waiting.key, waiting.frame.ready_s)
        return (now_s - since_s) * waiting.frame.priority

    def _remove(self, waiting: Waiting) -> None:
        key = waiting.key
        if not waiting.frame.keep:
            del self._newest[key], self._in_line_since_s[key]
            return
        self._kept[key].popleft()
        if not self._kept[key]:
            del self._kept[key]


def _urgent(waiting: list[Waiting]) -> list[Waiting]:
    """Those that do not ask for spare capacity only; all, where there are no others."""
    return [each for each in waiting if each.frame.priority] or waiting

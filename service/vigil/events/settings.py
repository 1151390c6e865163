"""What can be set about events, and who is told what becomes of them."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

MIB = 1024 * 1024


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and paces of the outbox and the publisher."""

    prefix: str = "vigil"  # the Redis stream is <prefix>:events
    retention_s: float = 7 * 86400.0
    max_bytes: int = 1024 * MIB  # of the event log, and of the Redis stream
    batch_events: int = 500  # sent to Redis at once, and so the most that a kill can send twice
    queue_events: int = 20_000  # wait for a commit at most; more wait outside, then are dropped
    append_timeout_s: float = 5.0  # how long they wait outside
    connect_timeout_s: float = 3.0
    reply_timeout_s: float = 15.0  # a slow Redis is waited for, a hung one is not
    backoff_first_s: float = 0.1
    backoff_cap_s: float = 5.0
    idle_s: float = 5.0  # how often an idle connection is tried
    sweep_s: float = 10.0  # how often the log is held to its limits
    trim_s: float = 60.0  # how often the Redis stream is
    flush_grace_s: float = 5.0  # how long a stop waits for Redis to take what is left

    @property
    def key(self) -> str:
        """The key of the Redis stream."""
        return f"{self.prefix}:events"


class EventHooks(Protocol):
    """Who is told what becomes of events. Called on the event loop; must not raise or wait."""

    def on_committed(self, *, events: int, wait_s: float) -> None:
        """One append is on disk, ``wait_s`` after it was called (stage ``outbox``)."""

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        """Redis has acknowledged an event, ``latency_s`` after its frame was captured.

        None where that cannot be known: it was captured before the machine started.
        """

    def on_batch(self, *, events: int, duration_s: float) -> None:
        """Redis has acknowledged a batch, ``duration_s`` after it was sent (stage ``publish``)."""

    def on_dropped(self, reason: str, events: int) -> None:
        """Events are lost: ``storage``, ``backlog``, ``age``, ``max_bytes`` or ``redis_max_bytes``."""


class EventTracer(Protocol):
    """Who is told when events got how far, to trace the frames that they are of; on the event loop."""

    def kept(self, event_ids: Iterable[str], *, began_s: float, ended_s: float) -> None:
        """Events are on disk; an append took from ``began_s`` to ``ended_s``, monotonic."""

    def sent(self, event_ids: Iterable[str], *, began_s: float, ended_s: float) -> None:
        """Redis has acknowledged events that were sent at ``began_s``."""


class NoHooks:
    """Nobody is told."""

    def on_committed(self, *, events: int, wait_s: float) -> None:
        """Ignored."""

    def on_published(self, event_type: str, phase: str, latency_s: float | None) -> None:
        """Ignored."""

    def on_batch(self, *, events: int, duration_s: float) -> None:
        """Ignored."""

    def on_dropped(self, reason: str, events: int) -> None:
        """Ignored."""

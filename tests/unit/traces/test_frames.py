"""A traced frame becomes one trace: its stages as they were told, its events when Redis has them."""

import itertools
from collections.abc import Sequence

import pytest

from vigil.ipc.messages import EngineTimes, FrameTraced
from vigil.traces.frames import MOST_OPEN, OPEN_S, FrameTraces
from vigil.traces.span import Span

UTC_S = 1_800_000_000.0
ENGINE = EngineTimes(arrived_s=10.03, done_s=10.08, infer_s=0.03, postprocess_s=0.01, frames=4)


def traced(seq: int = 7, *, event_ids: Sequence[str] = (), **more: object) -> FrameTraced:
    """A frame captured at 10 s of the monotonic clock, which was `UTC_S`."""
    fields = {
        "outcome": "analysed",
        "engine": ENGINE,
        "returned_s": 10.085,
        "tracked_s": 10.087,
        "ruled_s": 10.09,
        "found": 3,
        **more,
    }
    return FrameTraced(
        stream_id="gate",
        run=2,
        seq=seq,
        captured_at_s=UTC_S,
        captured_s=10.0,
        began_s=10.01,
        ready_s=10.02,
        event_ids=tuple(event_ids),
        **fields,
    )


class Clock:
    now_s = 11.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return UTC_S + self.now_s - 10


class Written:
    """Traces, and what makes them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.traces: list[tuple[Span, Sequence[Span]]] = []
        self.frames = FrameTraces(self._write, clock=self.clock, model="grid")

    def _write(self, root: Span, parts: Sequence[Span]) -> None:
        self.traces.append((root, list(parts)))

    def names(self, index: int = -1) -> list[str]:
        return [part.name for part in self.traces[index][1]]


@pytest.fixture
def written() -> Written:
    return Written()


HOST = ["capture", "resize", "queue", "batch_wait", "infer", "postprocess", "return"]


def test_a_frame_without_events_is_a_trace_at_once(written: Written) -> None:
    written.frames.take(traced())
    ((root, parts),) = written.traces
    assert written.names() == [*HOST, "track", "rules"]
    assert root.began_s == UTC_S
    assert root.ended_s == pytest.approx(UTC_S + 0.09)
    assert root.attributes == {
        "vigil.stream_id": "gate",
        "vigil.run": 2,
        "vigil.seq": 7,
        "vigil.outcome": "analysed",
        "vigil.model": "grid",
        "vigil.objects": 3,
    }
    assert parts[4].attributes == {"vigil.batch_size": 4}
    for part, after in itertools.pairwise(parts):
        assert part.ended_s == pytest.approx(after.began_s), f"{part.name} to {after.name}"
    assert parts[4].ended_s - parts[4].began_s == pytest.approx(0.03, abs=1e-6)


def test_a_frame_with_events_is_one_when_redis_has_them_all(written: Written) -> None:
    frames = written.frames
    frames.take(traced(event_ids=["a", "b"]))
    frames.kept(["x", "a", "b"], began_s=10.1, ended_s=10.11)
    frames.sent(["x", "a"], began_s=10.2, ended_s=10.21)
    assert not written.traces
    frames.sent(["b", "a"], began_s=10.3, ended_s=10.32)
    assert written.names()[-3:] == ["outbox", "publish", "publish"]
    root, parts = written.traces[0]
    assert root.ended_s == pytest.approx(UTC_S + 0.32)
    assert root.attributes["vigil.event_ids"] == ("a", "b")
    assert root.attributes["vigil.events_unpublished"] == 0
    assert parts[-3].attributes == {"vigil.event_ids": ["a", "b"]}
    assert parts[-2].attributes == {"vigil.event_ids": ["a"]}
    frames.sent(["a", "b"], began_s=10.4, ended_s=10.5)
    assert len(written.traces) == 1


def test_a_trace_does_not_wait_for_redis_for_ever(written: Written) -> None:
    written.frames.take(traced(1, event_ids=["a"]))
    written.clock.now_s += OPEN_S - 1
    written.frames.take(traced(2))
    assert len(written.traces) == 1
    written.clock.now_s += 2
    written.frames.take(traced(3))
    root = next(root for root, _ in written.traces if root.attributes["vigil.seq"] == 1)
    assert root.attributes["vigil.events_unpublished"] == 1


def test_what_waits_is_bounded_and_written_at_the_end(written: Written) -> None:
    for seq in range(MOST_OPEN + 10):
        written.frames.take(traced(seq, event_ids=[f"event-{seq}"]))
    assert [root.attributes["vigil.seq"] for root, _ in written.traces] == list(range(10))
    written.frames.close()
    assert len(written.traces) == MOST_OPEN + 10


@pytest.mark.parametrize(("outcome", "failed"), [("dropped_stale", False), ("dropped_error", True)])
def test_a_dropped_frame_says_so(written: Written, outcome: str, failed: bool) -> None:
    written.frames.take(traced(outcome=outcome, engine=None, tracked_s=None, ruled_s=None, found=0))
    root, _ = written.traces[0]
    assert written.names() == ["capture", "resize", "engine"]
    assert root.attributes["vigil.outcome"] == outcome
    assert root.failed is failed
    assert "vigil.objects" not in root.attributes

"""Traced frames: what their camera tells of them, and how far their events got, as one trace each.

Lives on the service's event loop.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vigil.clock import Anchor, Clock
from vigil.ipc.messages import FrameTraced
from vigil.traces.span import Attribute, Span

MOST_OPEN = 256  # traces that wait for their events; beyond it the oldest goes as it is
OPEN_S = 30.0  # so long a trace waits for Redis to have its events


@dataclass(slots=True)
class _Open:
    """A trace that waits for events of its frame."""

    traced: FrameTraced
    since_s: float
    spans: list[Span]
    waiting: set[str]  # ids of events that Redis does not have


class FrameTraces:
    """Makes a trace of each traced frame; ``write`` takes its root, then its parts.

    A frame without events is written when it is back from the engine, one with events when Redis has
    acknowledged them, or after `OPEN_S` as far as it got.
    """

    def __init__(
        self, write: Callable[[Span, Sequence[Span]], None], *, clock: Clock, model: str
    ) -> None:
        self._write = write
        self._clock = clock
        self._model = model
        self._open: dict[tuple[str, int, int], _Open] = {}  # oldest first
        self._of_event: dict[str, _Open] = {}

    def take(self, traced: FrameTraced) -> None:
        """A traced frame is over in its host; its events are still to come."""
        now_s = self._clock.monotonic_s()
        self._close_late(now_s)
        opened = _Open(traced, now_s, list(_host_spans(traced)), set(traced.event_ids))
        if not opened.waiting:
            self._finish(opened)
            return
        self._open[_key(traced)] = opened
        self._of_event.update(dict.fromkeys(opened.waiting, opened))

    def kept(self, event_ids: Iterable[str], *, began_s: float, ended_s: float) -> None:
        """Events are on disk (see `vigil.events.settings.EventTracer`)."""
        for opened, ids in self._traced(event_ids):
            opened.spans.append(_part("outbox", opened.traced, began_s, ended_s, ids))

    def sent(self, event_ids: Iterable[str], *, began_s: float, ended_s: float) -> None:
        """Redis has acknowledged events."""
        for opened, ids in self._traced(event_ids):
            opened.spans.append(_part("publish", opened.traced, began_s, ended_s, ids))
            opened.waiting.difference_update(ids)
            if not opened.waiting:
                self._close(opened)

    def close(self) -> None:
        """Write what is open as it is."""
        for opened in list(self._open.values()):
            self._close(opened)

    def _traced(self, event_ids: Iterable[str]) -> Iterator[tuple[_Open, list[str]]]:
        """The open traces that events are of, each with its own."""
        if not self._of_event:
            return
        found: dict[tuple[str, int, int], list[str]] = {}
        for event_id in event_ids:
            if event_id in self._of_event:
                found.setdefault(_key(self._of_event[event_id].traced), []).append(event_id)
        for key, ids in found.items():
            yield self._open[key], ids

    def _close_late(self, now_s: float) -> None:
        for opened in list(self._open.values()):
            if len(self._open) < MOST_OPEN and now_s - opened.since_s < OPEN_S:
                return
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        del self._open[_key(opened.traced)]
        for event_id in opened.traced.event_ids:
            self._of_event.pop(event_id, None)
        self._finish(opened)

    def _finish(self, opened: _Open) -> None:
        traced = opened.traced
        attributes: dict[str, Attribute] = {
            "vigil.stream_id": traced.stream_id,
            "vigil.run": traced.run,
            "vigil.seq": traced.seq,
            "vigil.outcome": traced.outcome,
            "vigil.model": self._model,
        }
        if traced.outcome == "analysed":
            attributes["vigil.objects"] = traced.found
        if traced.event_ids:
            attributes["vigil.event_ids"] = traced.event_ids
            attributes["vigil.events_unpublished"] = len(opened.waiting)
        root = Span(
            "frame",
            traced.captured_at_s,
            max(span.ended_s for span in opened.spans),
            attributes,
            failed=traced.outcome == "dropped_error",
        )
        self._write(root, opened.spans)


def _host_spans(traced: FrameTraced) -> Iterator[Span]:
    """The stages that the frame's host knows of, in order."""

    def part(name: str, began_s: float, ended_s: float) -> Span:
        return _part(name, traced, began_s, ended_s)

    yield part("capture", traced.captured_s, traced.began_s)
    yield part("resize", traced.began_s, traced.ready_s)
    engine = traced.engine
    if engine is None:
        yield part("engine", traced.ready_s, traced.returned_s)
    else:
        found_s = engine.done_s - engine.postprocess_s
        began_s = found_s - engine.infer_s
        batch = {"vigil.batch_size": engine.frames}
        yield part("queue", traced.ready_s, engine.arrived_s)
        yield part("batch_wait", engine.arrived_s, began_s)
        yield _part("infer", traced, began_s, found_s, attributes=batch)
        yield part("postprocess", found_s, engine.done_s)
        yield part("return", engine.done_s, traced.returned_s)
    if traced.tracked_s is not None and traced.ruled_s is not None:
        yield part("track", traced.returned_s, traced.tracked_s)
        yield part("rules", traced.tracked_s, traced.ruled_s)


def _part(
    name: str,
    traced: FrameTraced,
    began_s: float,
    ended_s: float,
    event_ids: Sequence[str] = (),
    *,
    attributes: dict[str, int] | None = None,
) -> Span:
    """A stage of a frame, from monotonic times."""
    anchor = Anchor(monotonic_s=traced.captured_s, utc_s=traced.captured_at_s)
    about = {"vigil.event_ids": event_ids} if event_ids else {}
    return Span(
        name,
        anchor.to_utc_s(began_s),
        anchor.to_utc_s(max(began_s, ended_s)),
        {**(attributes or {}), **about},
    )


def _key(traced: FrameTraced) -> tuple[str, int, int]:
    return traced.stream_id, traced.run, traced.seq

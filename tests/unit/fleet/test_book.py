import asyncio
from collections.abc import AsyncIterator

import pytest

from vigil.data import OfflineReason, StreamState
from vigil.errors import UnknownStream
from vigil.fleet.book import StreamBook
from vigil.fleet.contract import Stream
from vigil.ipc.messages import StreamReport
from vigil.spec import Source, StreamSpec


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> StreamBook:
    return StreamBook(clock)


def spec(stream_id: str, *, enabled: bool = True) -> StreamSpec:
    return StreamSpec(stream_id=stream_id, source=Source(uri="rtsp://camera/1"), enabled=enabled)


async def some(watch: AsyncIterator[Stream], count: int) -> list[Stream]:
    return [await asyncio.wait_for(anext(watch), 5) for _ in range(count)]


def test_a_new_stream_is_pending_or_disabled(book: StreamBook) -> None:
    book.enter(spec("a"), 1)
    book.enter(spec("b", enabled=False), 1)
    assert book.get("a").status.state is StreamState.PENDING
    assert book.get("b").status.state is StreamState.DISABLED
    assert "a" in book
    with pytest.raises(UnknownStream, match="ListStreams"):
        book.get("c")


def test_a_state_knows_since_when(book: StreamBook, clock: Clock) -> None:
    book.enter(spec("a"), 1)
    clock.now_s += 5
    book.note(StreamReport(stream_id="a", state=StreamState.ONLINE, width_px=640, height_px=480))
    clock.now_s += 5
    book.set("a", analysed_fps=4.9)
    status = book.get("a").status
    assert (status.since_s, status.analysed_fps, status.width_px) == (1005.0, 4.9, 640)


def test_an_offline_stream_says_when_it_is_tried_again(book: StreamBook, clock: Clock) -> None:
    book.enter(spec("a"), 1)
    book.note(StreamReport(stream_id="a", state=StreamState.ONLINE, width_px=640, height_px=480))
    book.set("a", analysed_fps=5.0)
    book.note(
        StreamReport(
            stream_id="a",
            state=StreamState.OFFLINE,
            reason=OfflineReason.UNREACHABLE,
            detail="camera:554 refuses connections",
            retry_in_s=2.5,
            reconnects=1,
        )
    )
    status = book.get("a").status
    assert (status.next_retry_s, status.reconnects) == (1002.5, 1)
    assert status.width_px == 640, "the last known size outlives a connection"
    assert status.analysed_fps == 0.0, "the rate does not"
    book.note(StreamReport(stream_id="a", state=StreamState.CONNECTING, reconnects=1))
    assert book.get("a").status.next_retry_s is None
    assert book.get("a").status.reason is None


def test_a_stream_that_is_tried_again_says_since_when_it_is_away(
    book: StreamBook, clock: Clock
) -> None:
    book.enter(spec("a"), 1)
    book.note(StreamReport(stream_id="a", state=StreamState.ONLINE))
    gone = StreamReport(
        stream_id="a", state=StreamState.OFFLINE, reason=OfflineReason.UNREACHABLE, retry_in_s=5.0
    )
    clock.now_s = 1100.0
    book.note(gone)
    for _ in range(3):
        clock.now_s += 5
        book.note(StreamReport(stream_id="a", state=StreamState.CONNECTING))
        clock.now_s += 5
        book.note(gone)
        assert book.get("a").status.since_s == 1100.0
    clock.now_s = 1200.0
    book.note(StreamReport(stream_id="a", state=StreamState.ONLINE))
    assert book.get("a").status.since_s == 1200.0


def test_reports_of_a_stream_that_is_gone_are_nothing(book: StreamBook) -> None:
    book.note(StreamReport(stream_id="gone", state=StreamState.ONLINE))
    book.set("gone", run=3)
    book.remove("gone")
    assert "gone" not in book


async def test_a_watch_shows_all_streams_then_changes_then_the_end(book: StreamBook) -> None:
    book.enter(spec("a"), 1)
    book.enter(spec("b"), 1)
    watch = book.watch()
    assert {stream.spec.stream_id for stream in await some(watch, 2)} == {"a", "b"}
    book.set("a", state=StreamState.ONLINE)
    (changed,) = await some(watch, 1)
    assert changed.status.state is StreamState.ONLINE
    book.remove("a")
    (removed,) = await some(watch, 1)
    assert (removed.spec.stream_id, removed.removed) == ("a", True)


async def test_a_slow_watcher_sees_the_newest_of_each_stream(book: StreamBook) -> None:
    book.enter(spec("a"), 1)
    watch = book.watch()
    await some(watch, 1)
    for run in range(1, 1000):
        book.set("a", run=run)
    book.enter(spec("b"), 1)
    seen = await some(watch, 2)
    assert {stream.spec.stream_id: stream.status.run for stream in seen} == {"a": 999, "b": 0}


async def test_what_did_not_change_is_not_told(book: StreamBook) -> None:
    book.enter(spec("a"), 1)
    book.set("a", run=1)
    watch = book.watch()
    await some(watch, 1)
    book.set("a", run=1)
    book.set("a", run=2)
    assert [stream.status.run for stream in await some(watch, 1)] == [2]


async def test_a_watcher_that_leaves_is_forgotten(book: StreamBook) -> None:
    book.enter(spec("a"), 1)
    watch = book.watch()
    await some(watch, 1)
    assert len(book._watchers) == 1
    await watch.aclose()  # type: ignore[attr-defined]
    assert not book._watchers

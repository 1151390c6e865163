import asyncio

import pytest

from vigil.fleet import endings as module
from vigil.fleet.endings import LATE, Endings


class Log:
    """An event log that keeps what was told when it is let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.shown: list[str] = []
        self.endings = Endings()

    async def kept(self) -> None:
        await self.open.wait()

    def end(self, stream_id: str) -> None:
        self.endings.hold(stream_id, self.kept, lambda late: self.shown.append(stream_id + late))


@pytest.fixture
async def log() -> Log:
    return Log()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_end_is_shown_once_its_events_are_kept(log: Log) -> None:
    log.end("gate")
    await settle()
    assert log.shown == []
    log.open.set()
    await settle()
    assert log.shown == ["gate"]


async def test_newer_news_of_a_stream_take_the_place_of_its_end(log: Log) -> None:
    for stream_id in ("gate", "yard", "yard"):
        log.end(stream_id)
    await settle()
    log.endings.forget("gate")
    log.endings.forget("nothing is held of it")
    log.open.set()
    await settle()
    assert log.shown == ["yard"]


@pytest.mark.parametrize("turns", range(6))
async def test_an_end_that_is_due_is_shown_or_forgotten(turns: int) -> None:
    """In whatever turn of the loop newer news come: a cancelled wait_for may go on, before Python 3.12."""
    log = Log()
    log.end("first")
    await settle()
    log.open.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    shown = list(log.shown)
    log.endings.hold("first", log.kept, lambda late: log.shown.append("second" + late))
    await settle()
    assert log.shown == [*shown, "second"]


async def test_a_disk_that_hangs_hides_no_end_for_long(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_S", 0.01)
    log.end("gate")
    async with asyncio.timeout(10):
        while not log.shown:
            await asyncio.sleep(0.01)
    assert log.shown == ["gate" + LATE]

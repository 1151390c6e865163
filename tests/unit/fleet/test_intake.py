import asyncio
from collections.abc import Sequence

import pytest

from vigil.data import Event, Phase
from vigil.errors import Unavailable
from vigil.fleet.intake import HIGH_WATER, MOST_AT_ONCE, EventIntake


def event(number: int) -> Event:
    return Event(
        event_id=f"e{number}",
        episode_id=f"e{number}",
        type="marker",
        phase=Phase.NEW,
        stream_id="gate",
        run=1,
        rule_id="mark",
        track_id=None,
        class_name=None,
        score=None,
        bbox=None,
        occurred_at_s=0.0,
        captured_s=0.0,
        labels={},
        attributes={},
    )


class Site:
    """An outbox that takes a batch each time it is let, and a host that can be held back."""

    def __init__(self) -> None:
        self.appended: list[Event] = []
        self.batches: list[int] = []
        self.paused = False
        self.pauses = 0
        self.open = asyncio.Event()
        self.open.set()
        self.closed = False
        self.intake = EventIntake(self.append, pause=self.pause, resume=self.resume)

    async def append(self, events: Sequence[Event]) -> None:
        await self.open.wait()
        if self.closed:
            raise Unavailable("the outbox is closed")
        self.batches.append(len(events))
        self.appended += events

    def pause(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        self.paused = False


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_events_are_appended_in_order_many_at_once(site: Site) -> None:
    site.open.clear()
    for number in range(1200):
        site.intake.take([event(number)])
    await asyncio.sleep(0)
    site.open.set()
    await site.intake.finish()
    assert [each.event_id for each in site.appended] == [f"e{n}" for n in range(1200)]
    assert max(site.batches) == MOST_AT_ONCE
    assert not site.paused


async def test_a_slow_outbox_holds_the_host_back(site: Site) -> None:
    site.open.clear()
    site.intake.take([event(number) for number in range(HIGH_WATER)])
    assert not site.paused
    site.intake.take([event(HIGH_WATER)])
    assert site.paused
    site.open.set()
    await site.intake.finish()
    assert not site.paused
    assert len(site.appended) == HIGH_WATER + 1


async def test_what_comes_while_it_appends_is_appended_next(site: Site) -> None:
    site.open.clear()
    site.intake.take([event(0)])
    await asyncio.sleep(0)
    site.intake.take([event(1), event(2)])
    site.open.set()
    await site.intake.finish()
    assert [each.event_id for each in site.appended] == ["e0", "e1", "e2"]


async def test_a_closed_outbox_ends_it_without_an_error(site: Site) -> None:
    site.closed = True
    site.intake.take([event(number) for number in range(700)])
    await site.intake.finish()
    assert site.appended == []


async def test_nothing_to_finish_is_finished(site: Site) -> None:
    await site.intake.finish()
    assert site.pauses == 0

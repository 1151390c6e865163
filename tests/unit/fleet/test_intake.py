import asyncio
from collections.abc import Sequence

import pytest

from vigil.data import Event, Phase
from vigil.errors import Unavailable
from vigil.fleet.intake import MOST_APPENDS, MOST_AT_ONCE, MOST_WAITING, EventIntake


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


class Outbox:
    """An outbox that takes one batch after the other, each time it is let."""

    def __init__(self) -> None:
        self.appended: list[Event] = []
        self.batches: list[int] = []
        self.dropped: list[tuple[str, int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.turn = asyncio.Lock()
        self.failing = False
        self.intake = EventIntake(self)

    async def append(self, events: Sequence[Event]) -> None:
        async with self.turn:
            await self.open.wait()
            if self.failing:
                raise Unavailable("the outbox is closed")
            self.batches.append(len(events))
            self.appended += events

    def drop(self, reason: str, events: Sequence[Event]) -> None:
        self.dropped.append((reason, len(events)))


@pytest.fixture
async def outbox() -> Outbox:
    return Outbox()


async def test_events_are_appended_in_order_many_at_once(outbox: Outbox) -> None:
    outbox.open.clear()
    for number in range(1200):
        outbox.intake.take([event(number)])
    await asyncio.sleep(0)
    outbox.open.set()
    await outbox.intake.finish()
    assert [each.event_id for each in outbox.appended] == [f"e{n}" for n in range(1200)]
    assert max(outbox.batches) == MOST_AT_ONCE
    assert outbox.dropped == []


async def test_what_a_stalled_outbox_has_no_room_for_is_counted(outbox: Outbox) -> None:
    outbox.open.clear()
    outbox.intake.take([event(number) for number in range(MOST_WAITING)])
    assert outbox.dropped == []
    outbox.intake.take([event(0), event(1)])
    assert outbox.dropped == [("backlog", 2)]
    outbox.open.set()
    await outbox.intake.finish()
    assert len(outbox.appended) == MOST_WAITING


async def test_what_comes_while_it_appends_is_appended_next(outbox: Outbox) -> None:
    outbox.open.clear()
    outbox.intake.take([event(0)])
    await asyncio.sleep(0)
    outbox.intake.take([event(1), event(2)])
    outbox.open.set()
    await outbox.intake.finish()
    assert [each.event_id for each in outbox.appended] == ["e0", "e1", "e2"]


async def test_what_comes_at_once_is_one_append_and_none_waits_for_another(outbox: Outbox) -> None:
    outbox.open.clear()
    for number in range(3):
        outbox.intake.take([event(number)])
    await asyncio.sleep(0)  # the first append begins, and is held
    outbox.intake.take([event(3)])
    await asyncio.sleep(0)
    outbox.intake.take([event(4)])
    outbox.open.set()
    await outbox.intake.finish()
    assert outbox.batches == [3, 1, 1]


async def test_a_full_outbox_holds_a_few_appends_of_a_host(outbox: Outbox) -> None:
    outbox.open.clear()
    for number in range(20):
        outbox.intake.take([event(number)])
        await asyncio.sleep(0)
    outbox.open.set()
    await outbox.intake.finish()
    assert outbox.batches == [1] * MOST_APPENDS + [20 - MOST_APPENDS]
    assert [each.event_id for each in outbox.appended] == [f"e{n}" for n in range(20)]


async def test_a_batch_that_fails_is_counted_and_the_next_one_is_tried(outbox: Outbox) -> None:
    outbox.failing = True
    outbox.intake.take([event(number) for number in range(MOST_AT_ONCE)])
    await outbox.intake.finish()
    assert outbox.dropped == [("storage", MOST_AT_ONCE)]
    outbox.failing = False
    outbox.intake.take([event(MOST_AT_ONCE)])
    await outbox.intake.finish()
    assert [each.event_id for each in outbox.appended] == [f"e{MOST_AT_ONCE}"]


async def test_who_waits_for_what_was_taken_waits_for_nothing_else(outbox: Outbox) -> None:
    """Before, a host that went on telling events kept them waiting."""
    outbox.open.clear()
    outbox.intake.take([event(number) for number in range(MOST_APPENDS * MOST_AT_ONCE + 1)])
    kept = asyncio.create_task(outbox.intake.finish())
    await asyncio.sleep(0)
    outbox.open.set()
    number = MOST_WAITING
    while not kept.done():
        outbox.intake.take([event(number)])
        number += 1
        await asyncio.sleep(0)
        assert number < MOST_WAITING + 1000
    assert f"e{MOST_APPENDS * MOST_AT_ONCE}" in {each.event_id for each in outbox.appended}


async def test_nothing_to_finish_is_finished(outbox: Outbox) -> None:
    await outbox.intake.finish()
    assert outbox.batches == []

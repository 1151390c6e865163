"""Verdicts outlive the service and the event log, and add up to a precision."""

from pathlib import Path

import pytest

from tests.unit.api.memory_fleet import T0_S, an_event
from vigil.events.outbox import Outbox
from vigil.events.verdicts import NEWEST, Judged, VerdictFilter, Verdicts, VerdictValue
from vigil.store.database import Database

CORRECT, WRONG, UNCLEAR = VerdictValue.CORRECT, VerdictValue.WRONG, VerdictValue.UNCLEAR


class StillClock:
    def monotonic_s(self) -> float:
        return 0.0

    def utc_s(self) -> float:
        return T0_S


def opened(database: Database) -> Verdicts:
    verdicts = Verdicts(database, StillClock())
    verdicts.load()
    return verdicts


async def keep(database: Database, count: int, **changes: object) -> None:
    outbox = Outbox(database, clock=StillClock())
    outbox.load()
    prefix = str(changes.get("type", ""))
    await outbox.append(
        [
            an_event(event_id=f"{prefix}{n}", episode_id=f"{prefix}-{n}", **changes)
            for n in range(count)
        ]
    )


async def say(verdicts: Verdicts, episode_id: str, value: VerdictValue) -> None:
    await verdicts.report(episode_id, value, note="", operator="")


async def test_precision_counts_right_and_wrong_by_stream_and_rule_and_survives(
    tmp_path: Path,
) -> None:
    with Database(tmp_path) as database:
        verdicts = opened(database)
        await keep(database, 4, type="zone.enter")
        await keep(database, 2, type="line.cross")
        for n, value in enumerate((CORRECT, CORRECT, WRONG, UNCLEAR)):
            await say(verdicts, f"zone.enter-{n}", value)
        await say(verdicts, "line.cross-0", WRONG)
        expected = {Judged("gate", "zone", 2, 3), Judged("gate", "line", 0, 1)}
        assert set(verdicts.judged()) == expected
        await say(verdicts, "line.cross-0", UNCLEAR)
        assert set(verdicts.judged()) == {Judged("gate", "zone", 2, 3)}, "nothing is left to judge"
        await say(verdicts, "line.cross-0", WRONG)
    with Database(tmp_path) as database:
        assert set(opened(database).judged()) == expected


async def test_only_the_newest_verdicts_count(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        verdicts = opened(database)
        await keep(database, NEWEST + 3, type="zone.enter")
        for n in range(NEWEST + 3):
            await say(verdicts, f"zone.enter-{n}", WRONG if n < 3 else CORRECT)
        assert verdicts.judged() == [Judged("gate", "zone", NEWEST, NEWEST)]


async def test_an_event_is_kept_as_long_as_its_verdict(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        await keep(database, 1, type="zone.enter")
        await say(opened(database), "zone.enter-0", CORRECT)
        await database.write(lambda connection: connection.execute("DELETE FROM event").rowcount)
        verdicts = opened(database)
        (kept,) = await verdicts.list(VerdictFilter(), before=0, limit=10)
        assert kept.event.event.bbox == (0.25, 0.5, 0.5, 1.0)
        await say(verdicts, "zone.enter-0", WRONG)
        assert verdicts.judged() == [Judged("gate", "zone", 0, 1)]


async def test_the_stream_of_an_episode_is_found(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        await keep(database, 3, type="zone.enter")
        verdicts = opened(database)
        assert await verdicts.stream_of("zone.enter-1") == "gate"
        assert await verdicts.stream_of("zone.enter-9") is None
        with pytest.raises(Exception, match="ListEvents"):
            await say(verdicts, "zone.enter-9", WRONG)

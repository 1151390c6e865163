"""Learnt limits over restarts: samples go to the state file, curves come out of it."""

from pathlib import Path

import msgspec
import pytest

from vigil.errors import UnknownBaseline
from vigil.fleet.baselines import Baselines
from vigil.rules.usual import Sample
from vigil.spec import Edge, Learnt, OccupancyRule, Point, Source, StreamSpec, TrafficRule
from vigil.store.database import Database
from vigil.store.history import KEPT_HOURS, History, HistoryKey

HOUR_S = 3600
MONDAY_S = 4 * 86400 + 2800 * 7 * 86400  # some Monday of 2023, 00:00 UTC
LEARNT = Learnt(warm_up_s=2 * 86400.0)
AREA = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0))
SPEC = StreamSpec(
    stream_id="hall",
    source=Source(uri="push:"),
    rules=(
        OccupancyRule(rule_id="room", polygon=AREA, above=LEARNT, below=2.0),
        TrafficRule(rule_id="gate", points=AREA[:2], below=LEARNT),
    ),
)


class Clock:
    """The hour is in the test's hands."""

    def __init__(self) -> None:
        self.now_s = float(MONDAY_S)

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s


def hour_of_samples(hour: int, value: float, **changes: object) -> list[Sample]:
    return [
        msgspec.structs.replace(
            Sample(
                rule_id="room",
                edge=Edge.ABOVE,
                begun_s=MONDAY_S + hour * HOUR_S + 300.0 * part,
                value=value,
            ),
            **changes,
        )
        for part in range(12)
    ]


async def test_a_curve_is_told_once_an_hour_and_survives_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    with Database(tmp_path) as database:
        baselines = Baselines(History(database), clock)
        told = []
        for hour in range(60):
            for sample in hour_of_samples(hour, 3.0 + hour % 24):
                clock.now_s = sample.begun_s + 300.0
                told += await baselines.note(SPEC, [sample])
        assert len(told) == 59
        assert not told[40].warm
        assert told[-1].warm
    with Database(tmp_path) as database:
        again = Baselines(History(database), clock)
        curve, other = await again.of(SPEC)
        assert curve.hours[10].usual == pytest.approx(13.0)
        assert curve.hours[10].limit is not None
        assert (other.rule_id, other.edge, other.warm) == ("gate", Edge.BELOW, False)
        assert await again.one(SPEC, "room", "") == curve


async def test_what_is_asked_for_and_is_not_there(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        baselines = Baselines(History(database), Clock())
        assert (await baselines.one(SPEC, "gate", "")).edge is Edge.BELOW
        for rule_id, edge in (("room", "below"), ("gate", "above"), ("none", "")):
            with pytest.raises(UnknownBaseline, match=rule_id):
                await baselines.one(SPEC, rule_id, edge)


async def test_a_rule_that_is_drawn_anew_learns_anew_and_a_removed_stream_is_forgotten(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with Database(tmp_path) as database:
        baselines = Baselines(History(database), clock)
        await baselines.note(SPEC, hour_of_samples(0, 5.0))
        moved = msgspec.structs.replace(
            SPEC,
            rules=(OccupancyRule(rule_id="room", above=LEARNT), SPEC.rules[1]),
        )
        assert (await baselines.of(moved))[0].warm_at_s is None
        louder = msgspec.structs.replace(SPEC.rules[0], above=Learnt(deviations=9.0), update_s=99.0)
        kept = msgspec.structs.replace(SPEC, rules=(louder, SPEC.rules[1]))
        assert (await baselines.of(kept))[0].hours[0].samples == 12
        await baselines.note(SPEC, hour_of_samples(0, 5.0, rule_id="gone"))  # since removed
        await baselines.forget("hall")
        assert (await baselines.of(SPEC))[0].warm_at_s is None


async def test_history_is_kept_for_eight_weeks(tmp_path: Path) -> None:
    key = HistoryKey("hall", "room", "above", "abc")
    with Database(tmp_path) as database:
        history = History(database)
        await history.append(key, 1000, [1.0, 2.0])
        await history.append(key, 1000, [3.5])
        assert await history.read(key) == {1000: [1.0, 2.0, 3.5]}
        await history.append(key, 1000 + KEPT_HOURS, [4.0])
        assert list(await history.read(key)) == [1000 + KEPT_HOURS]
        await history.append(key._replace(fingerprint="other"), 1000 + KEPT_HOURS, [4.0])
        assert await history.read(key) == {}

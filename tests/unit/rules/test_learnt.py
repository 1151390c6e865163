"""Learnt limits: simulated weeks of a place that is busy by day, and what leaves its curve."""

import numpy as np
import pytest

from tests.unit.rules.walk import CLASSES, moment, track
from vigil.rules import Moment, RuleSet
from vigil.rules.learning import LimitWatch
from vigil.rules.usual import HOUR_S, HOURS, LEAST_SPREAD, hour_of_week, learn
from vigil.spec import Edge, Learnt, OccupancyRule, Point, TrafficRule

DAY_S = 86400
WEEK_S = 7 * DAY_S
MONDAY_S = 4 * DAY_S  # 1970-01-05 00:00 UTC
STEP_S = 5
DURATION_S = 15.0
LEARNT = Learnt()
EVERYWHERE = ()


def people(weeks, *, seed=1):
    """How many are there every 5 s: they come at random, by hour and day, and stay for 2 minutes."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, weeks * WEEK_S, STEP_S)
    hour, day = times / HOUR_S % 24, times // DAY_S % 7
    busy = np.exp(-(((hour - 13.0) / 4.0) ** 2)) * np.where(day < 5, 1.0, 0.3)
    come = rng.poisson(busy * 20.0 / 120.0 * STEP_S)  # 20 at a time at noon of a working day
    go = np.zeros(len(times) + 2000, np.int64)
    arrivals = np.repeat(np.arange(len(times)), come)
    stays = np.minimum(rng.exponential(120.0 / STEP_S, len(arrivals)).astype(np.int64), 1999)
    np.add.at(go, arrivals + stays + 1, 1)
    return np.cumsum(come) - np.cumsum(go[: len(times)])


def at(index):
    time_s = float(index * STEP_S)
    return Moment(time_s=time_s, utc_s=MONDAY_S + time_s, captured_s=time_s)


def history_of(edge, counts):
    """What a rule would have remembered of these counts, by hour."""
    watch = LimitWatch("room", edge, LEARNT, duration_s=DURATION_S)
    for index, count in enumerate(counts.tolist()):
        watch.see(at(index), count)
    history = {}
    for sample in watch.samples:
        history.setdefault(int(sample.begun_s // HOUR_S), []).append(sample.value)
    return history


@pytest.fixture(scope="module")
def curve():
    """Two weeks learnt."""
    history = history_of(Edge.ABOVE, people(2))
    return learn("room", Edge.ABOVE, LEARNT, history, now_s=MONDAY_S + 2 * WEEK_S)


def past(curve, counts, *, first):
    """The moments from which counts have been above the curve for the duration."""
    watch = LimitWatch("room", Edge.ABOVE, LEARNT, duration_s=DURATION_S)
    watch.learn(curve)
    found, since = [], None
    for index, count in enumerate(counts.tolist(), start=first):
        limit = watch.at(at(index))
        if limit is None or not watch.is_past(count, limit):
            since = None
        elif since is None:
            since = index
        elif (index - since) * STEP_S == DURATION_S:
            found.append(index)
    return found


def test_the_curve_follows_the_hours_of_the_week(curve):
    assert len(curve.hours) == HOURS
    assert curve.warm
    monday_noon, monday_night, sunday_noon = (
        curve.hours[13],
        curve.hours[3],
        curve.hours[6 * 24 + 13],
    )
    assert 18.0 <= monday_noon.usual <= 28.0  # peaks of five minutes, about a mean of 20
    assert monday_night.usual <= 1.0
    assert 6.0 <= sunday_noon.usual <= 12.0
    assert monday_noon.limit == pytest.approx(monday_noon.usual + 4.0 * monday_noon.spread)
    assert monday_noon.samples >= 2 * 3 * 12 - 2
    assert min(hour.spread for hour in curve.hours) == LEAST_SPREAD


def test_an_ordinary_week_leaves_the_curve_rarely_and_a_crowd_always(curve):
    week, first = people(3)[2 * WEEK_S // STEP_S :], 2 * WEEK_S // STEP_S
    assert len(past(curve, week, first=first)) <= 4  # of 2,016 spans of five minutes
    for day in range(7):
        for hour, more in ((3, 6), (13, 30), (20, 15)):
            start = (day * DAY_S + hour * HOUR_S) // STEP_S
            crowd = week.copy()
            crowd[start : start + 60] += more
            span = crowd[start - 60 : start + 120]
            found = past(curve, span, first=first + start - 60)
            assert any(start <= index - first <= start + 10 for index in found), (day, hour)


def test_one_odd_week_among_four_does_not_move_the_curve():
    counts = people(4)
    odd = counts.copy()
    odd[WEEK_S // STEP_S : 2 * WEEK_S // STEP_S] = 60
    plain, shaken = (
        learn("room", Edge.ABOVE, LEARNT, history_of(Edge.ABOVE, each), now_s=MONDAY_S + 4 * WEEK_S)
        for each in (counts, odd)
    )
    noon = slice(10, 16)
    for before, after in zip(plain.hours[noon], shaken.hours[noon], strict=True):
        assert after.usual <= before.usual + 2.0 * before.spread


def test_no_limit_before_the_warm_up_nor_where_little_was_seen():
    history = history_of(Edge.ABOVE, people(1)[: 6 * DAY_S // STEP_S])
    young = learn("room", Edge.ABOVE, LEARNT, history, now_s=MONDAY_S + 6 * DAY_S)
    assert not young.warm
    assert young.warm_at_s == pytest.approx(MONDAY_S + WEEK_S)
    assert all(hour.limit is None for hour in young.hours)
    old = learn("room", Edge.ABOVE, LEARNT, history, now_s=MONDAY_S + 8 * DAY_S)
    assert old.hours[13].limit is not None
    assert old.hours[6 * 24 + 13].limit is None  # never seen on a Sunday
    nothing = learn("room", Edge.BELOW, LEARNT, {}, now_s=MONDAY_S)
    assert (nothing.warm, nothing.warm_at_s) == (False, None)


def test_below_learns_what_was_always_there():
    counts = np.full(WEEK_S // STEP_S, 6)
    counts[::40] = 4  # two step out for a moment
    curve = learn(
        "room", Edge.BELOW, LEARNT, history_of(Edge.BELOW, counts), now_s=MONDAY_S + WEEK_S
    )
    assert curve.hours[50].usual == 6.0
    assert curve.hours[50].limit == pytest.approx(4.0)


def test_a_bucket_that_was_hardly_seen_teaches_nothing():
    watch = LimitWatch("room", Edge.ABOVE, LEARNT, duration_s=DURATION_S)
    for index in [
        *range(20),
        *range(60, 130),
    ]:  # 100 s of the first five minutes, all of the second
        watch.see(at(index), 3)
    assert [sample.begun_s for sample in watch.samples] == [MONDAY_S + 300.0]


def test_hours_of_the_week_begin_on_monday():
    assert hour_of_week(MONDAY_S // HOUR_S) == 0
    assert hour_of_week(MONDAY_S // HOUR_S - 1) == 167


def crowd(count):
    return tuple(track((0.1 + 0.03 * n, 0.5), track_id=n + 1) for n in range(count))


def test_a_rule_tells_when_the_present_leaves_the_curve(curve):
    rule = OccupancyRule(rule_id="room", above=LEARNT, duration_s=DURATION_S)
    rules = RuleSet((rule,), stream_id="hall", run=1, class_names=CLASSES, labels={})
    noon, told = (2 * WEEK_S + 13 * HOUR_S) // STEP_S, []
    limit = curve.at(at(noon).utc_s).limit
    for index in range(120):
        if index == 40:
            rules.learn((curve,))
        here = int(limit) + 2 if index < 60 else int(limit) - 3
        told += [(index, e) for e in rules.advance(at(noon + index), crowd(here))]
    phases = [e.phase.value for _, e in told]
    assert (phases[0], phases[-1], set(phases[1:-1])) == ("new", "end", {"update"})
    assert told[0][0] == 40  # nothing before it was learnt
    assert told[0][1].attributes["limit"] == pytest.approx(limit, abs=0.01)
    rules.replace(
        (OccupancyRule(rule_id="room", above=LEARNT, duration_s=0.0),),
        labels={},
        moment=at(noon + 120),
    )
    again = rules.advance(at(noon + 121), crowd(int(limit) + 2))
    assert [e.type for e in again] == ["occupancy.above"]  # a changed rule keeps what was learnt


def passers(per_minute, seconds):
    """Frames of people who cross the middle one after the other, walking down."""
    frames, every = [], max(round(60 / per_minute / 0.2), 1)
    for index in range(round(seconds / 0.2)):
        step = index % every
        y = 0.3 + 0.05 * step
        here = y < 0.8
        frames.append((track((0.5, y), track_id=1 + index // every),) if here else ())
    return frames


def test_traffic_counts_crossings_of_a_window():
    line = (Point(0.0, 0.5), Point(1.0, 0.5))
    rule = TrafficRule(rule_id="gate", points=line, window_s=60.0, above=8, below=2)
    rules = RuleSet((rule,), stream_id="gate", run=1, class_names=CLASSES, labels={})
    told, index = [], 0
    for frame in [*passers(5, 120), *passers(12, 120), *[()] * 450]:
        told += [(index * 0.2, e) for e in rules.advance(moment(index * 0.2), frame)]
        index += 1
    kinds = [(e.type, e.phase.value) for _, e in told if e.phase.value != "update"]
    assert kinds == [
        ("traffic.above", "new"),
        ("traffic.above", "end"),
        ("traffic.below", "new"),
    ]
    assert 120.0 < told[0][0] <= 180.0
    assert told[0][1].attributes["count"] == 9
    assert (told[0][1].track_id, told[0][1].rule_id) == (None, "gate")
    assert told[-1][0] <= 300.0
    ended = rules.finish(moment(index * 0.2))
    assert [(e.type, e.phase.value) for e in ended] == [("traffic.below", "end")]


def test_too_few_are_told_after_a_whole_window_only():
    line = (Point(0.0, 0.5), Point(1.0, 0.5))
    rule = TrafficRule(rule_id="gate", points=line, window_s=60.0, below=1)
    rules = RuleSet((rule,), stream_id="gate", run=1, class_names=CLASSES, labels={})
    told = [index * 0.2 for index in range(400) for _ in rules.advance(moment(index * 0.2), ())]
    assert told[0] == pytest.approx(60.0)

import math

import pytest

from tests.unit.rules.walk import (
    LOST,
    MIDDLE,
    TENTATIVE,
    UTC_S,
    happened_s,
    moment,
    play,
    rule_set,
    track,
    walk,
)
from vigil.data import Phase
from vigil.rules.schedule import Hours
from vigil.spec import (
    AbsenceRule,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    LoiteringRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Schedule,
    SpeedRule,
    Window,
)

IN, OUT = (0.5, 0.5), (0.1, 0.5)


def told(events):
    return [(event.type, event.phase.value) for event in events]


def group(*feet, **more):
    return tuple(track(foot, track_id=number, **more) for number, foot in enumerate(feet, 1))


# occupancy


def test_occupancy_is_told_once_it_has_lasted_and_ends_when_somebody_leaves():
    rule = OccupancyRule(rule_id="o", polygon=MIDDLE, above=1, duration_s=1.0, update_s=1.0)
    frames = [group(IN, OUT)] * 2 + [group(IN, IN)] * 13 + [group(IN, OUT)] * 2
    events = play(rule_set(rule), frames)
    assert told(e for _, e in events) == [
        ("occupancy.above", "new"),
        ("occupancy.above", "update"),
        ("occupancy.above", "end"),
    ]
    since_s = 0.3  # half way from OUT to IN
    assert happened_s(events[0][1]) == pytest.approx(since_s + 1.0)
    assert events[0][0] == pytest.approx(1.4)
    assert events[0][1].attributes == {"duration_s": 1.0, "count": 2, "limit": 1}
    assert events[0][1].track_id is None
    end = events[-1][1]
    assert happened_s(end) == pytest.approx(2.9)
    assert end.attributes == {
        "duration_s": pytest.approx(2.6),
        "reason": "left",
        "count": 1,
        "limit": 1,
    }
    assert len({e.episode_id for _, e in events}) == 1


def test_occupancy_of_the_whole_picture_below_its_limit():
    rule = OccupancyRule(rule_id="o", below=1, duration_s=0.5)
    events = play(rule_set(rule), [()] * 4 + [group(IN)] * 2)
    assert told(e for _, e in events) == [("occupancy.below", "new"), ("occupancy.below", "end")]
    assert happened_s(events[0][1]) == pytest.approx(0.5)
    assert events[1][1].attributes["reason"] == "came"


def test_a_count_that_is_past_its_limit_too_shortly_says_nothing():
    rule = OccupancyRule(rule_id="o", polygon=MIDDLE, above=0, duration_s=1.0)
    assert play(rule_set(rule), [group(OUT), group(IN), group(IN), group(OUT)] * 5) == []


def test_somebody_hidden_is_still_counted():
    rule = OccupancyRule(rule_id="o", polygon=MIDDLE, above=0, duration_s=1.0)
    frames = [group(IN)] * 2 + [group(IN, state=LOST)] * 5 + [group(IN)]
    assert told(e for _, e in play(rule_set(rule), frames)) == [
        ("occupancy.above", "new"),
        ("occupancy.above", "end"),
    ]


# absence


def test_absence_begins_when_the_last_one_was_seen_and_ends_when_somebody_comes():
    rule = AbsenceRule(rule_id="a", polygon=MIDDLE, duration_s=1.0)
    frames = [group(IN)] * 3 + [group(IN, state=LOST)] * 4 + [()] * 5
    frames += [group(OUT), group((0.5, 0.55))]
    frames = frames[:-2] + [(track(IN, track_id=9),)] * 2
    events = play(rule_set(rule), frames)
    assert told(e for _, e in events) == [("absence", "new"), ("absence", "end")]
    assert happened_s(events[0][1]) == pytest.approx(1.4)  # last seen at 0.4
    assert happened_s(events[1][1]) == pytest.approx(2.4)
    assert events[1][1].attributes["reason"] == "came"


def test_absence_at_the_beginning_of_a_run_counts_from_its_first_frame():
    rule = AbsenceRule(rule_id="a", polygon=MIDDLE, duration_s=1.0)
    events = play(rule_set(rule), [()] * 8)
    assert told(e for _, e in events) == [("absence", "new"), ("absence", "end")]
    assert happened_s(events[0][1]) == pytest.approx(1.0)
    assert events[1][1].attributes["reason"] == "run_ended"


# intrusion and schedules

MONDAY_S = 4 * 86400.0  # 1970-01-05 00:00 UTC


@pytest.mark.parametrize(
    ("day", "hour", "watches"),
    [(0, 21.9, False), (0, 22.0, True), (1, 5.9, True), (1, 6.0, False), (6, 23.0, False)],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(day, hour, watches):
    window = Window(days=(0, 1, 2, 3, 4), start_s=22 * 3600.0, end_s=6 * 3600.0)
    hours = Hours(Schedule(windows=(window,)))
    assert hours.watch_at(MONDAY_S + day * 86400 + hour * 3600) == watches


def test_a_schedule_is_in_the_sites_time_in_summer_and_winter():
    window = Window(start_s=8 * 3600.0, end_s=9 * 3600.0)
    hours = Hours(Schedule(time_zone="Europe/Berlin", windows=(window,)))
    january, july = 1_768_460_400.0, 1_784_095_200.0  # 07:00 UTC and 06:00 UTC of two days in 2026
    for opens_s in (january, july):
        assert hours.watch_at(opens_s)
        assert not hours.watch_at(opens_s - 1)


def test_no_windows_watch_always():
    assert Hours(Schedule()).watch_at(12345.0)


def test_every_intruder_has_an_episode():
    rule = IntrusionRule(rule_id="i", polygon=MIDDLE)
    frames = [group(OUT, IN)] * 2 + [group(IN, IN)] * 2 + [group(IN, OUT)] * 2
    events = [event for _, event in play(rule_set(rule), frames)]
    assert [(e.track_id, e.phase.value) for e in events] == [
        (2, "new"),
        (1, "new"),
        (2, "end"),
        (1, "end"),
    ]


def test_intrusion_begins_and_ends_with_its_hours():
    start_s = UTC_S % 86400 + 1.0
    schedule = Schedule(windows=(Window(start_s=start_s, end_s=start_s + 2.0),))
    rule = IntrusionRule(rule_id="i", polygon=MIDDLE, schedule=schedule)
    events = play(rule_set(rule), [group(IN)] * 25)
    assert told(e for _, e in events) == [("intrusion", "new"), ("intrusion", "end")]
    assert [happened_s(e) for _, e in events] == pytest.approx([1.0, 3.0])
    assert events[1][1].attributes["reason"] == "schedule"


# direction


def drive(speed, frames=20, start=(0.5, 0.5), step_s=0.2):
    return [
        (start[0] + speed[0] * step_s * n, start[1] + speed[1] * step_s * n) for n in range(frames)
    ]


EASTWARD = DirectionRule(rule_id="d", start=Point(0.2, 0.5), end=Point(0.8, 0.5), duration_s=1.0)


@pytest.mark.parametrize(
    ("degrees", "wrong"), [(0, False), (50, False), (70, True), (180, True), (-70, True)]
)
def test_wrong_is_what_lies_outside_the_allowed_cone(degrees, wrong):
    turn = math.radians(degrees)
    feet = drive((0.1 * math.cos(turn), 0.1 * math.sin(turn)))
    events = walk(rule_set(EASTWARD), feet)
    assert told(events) == (
        [("direction.wrong", "new"), ("direction.wrong", "end")] if wrong else []
    )
    if wrong:
        assert events[0].attributes["angle_degrees"] == pytest.approx(abs(degrees), abs=0.5)
        assert happened_s(events[0]) == pytest.approx(1.0)


def test_who_stands_has_no_direction():
    feet = [(0.5 + 0.002 * (-1) ** n, 0.5) for n in range(40)]
    assert walk(rule_set(EASTWARD), feet) == []


def test_a_short_step_back_is_not_wrong():
    feet = (
        drive((0.1, 0.0), 10)
        + drive((-0.1, 0.0), 3, (0.68, 0.5))
        + drive((0.1, 0), 10, (0.64, 0.5))
    )
    assert walk(rule_set(EASTWARD), feet) == []


def test_turning_round_ends_it():
    feet = drive((-0.1, 0.0), 15, (0.8, 0.5)) + drive((0.1, 0.0), 15, (0.52, 0.5))
    events = walk(rule_set(EASTWARD), feet)
    assert told(events) == [("direction.wrong", "new"), ("direction.wrong", "end")]
    assert events[1].attributes["reason"] == "left"
    assert 2.8 < happened_s(events[1]) < 4.0


# speed

METRES_20 = SpeedRule(
    rule_id="s",
    calibration=(Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0)),
    ground=(GroundPoint(0, 0), GroundPoint(20, 0), GroundPoint(20, 20), GroundPoint(0, 20)),
    above_m_per_s=3.0,
)


def test_speed_is_measured_on_the_ground():
    events = walk(rule_set(METRES_20), drive((0.2, 0.0), 12, (0.1, 0.5)))
    assert told(events) == [("speed.above", "new"), ("speed.above", "end")]
    assert events[0].attributes["speed_m_per_s"] == pytest.approx(4.0, abs=0.01)
    assert events[1].attributes["top_speed_m_per_s"] == pytest.approx(4.0, abs=0.01)
    assert walk(rule_set(METRES_20), drive((0.14, 0.0), 12, (0.1, 0.5))) == []


def test_speed_follows_the_perspective():
    """A trapezium in the picture is a square on the ground: what is far moves less in the picture."""
    square = (GroundPoint(0, 10), GroundPoint(10, 10), GroundPoint(10, 0), GroundPoint(0, 0))
    rule = SpeedRule(
        rule_id="s",
        calibration=(Point(0.4, 0.3), Point(0.6, 0.3), Point(0.9, 0.9), Point(0.1, 0.9)),
        ground=square,
        above_m_per_s=1.5,
        below_m_per_s=0.5,
    )
    near = walk(rule_set(rule), [(0.1 + 0.016 * n, 0.89) for n in range(12)])  # 1 m/s
    assert near == []
    far = walk(rule_set(rule), [(0.41 + 0.016 * n, 0.31) for n in range(12)])  # 4 m/s
    assert told(far)[0] == ("speed.above", "new")
    assert far[0].attributes["speed_m_per_s"] == pytest.approx(4.0, rel=0.1)


def test_a_calibration_holds_where_the_horizon_meets_the_pictures_corner():
    """Its sides meet at the picture's upper edge: there the ground is infinitely far."""
    rule = SpeedRule(
        rule_id="s",
        calibration=(Point(0.25, 0.5), Point(0.75, 0.5), Point(1.0, 1.0), Point(0.0, 1.0)),
        ground=(GroundPoint(0, 10), GroundPoint(10, 10), GroundPoint(10, 0), GroundPoint(0, 0)),
        above_m_per_s=1.5,
    )
    events = walk(rule_set(rule), drive((0.2, 0.0), 16, (0.2, 0.999)))  # 2 m/s
    assert events[0].attributes["speed_m_per_s"] == pytest.approx(2.0, rel=0.01)


def test_nothing_is_said_of_feet_beyond_the_horizon():
    """A polygon that reaches into the sky: what is there is nowhere on the ground."""
    rule = SpeedRule(
        rule_id="s",
        polygon=(Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0)),
        calibration=(Point(0.4, 0.6), Point(0.6, 0.6), Point(0.9, 0.9), Point(0.1, 0.9)),
        ground=(GroundPoint(0, 10), GroundPoint(10, 10), GroundPoint(10, 0), GroundPoint(0, 0)),
        above_m_per_s=1.0,
    )
    assert walk(rule_set(rule), drive((0.1, 0.0), 20, (0.2, 0.2))) == []
    assert walk(rule_set(rule), drive((0.1, 0.0), 20, (0.2, 0.8))) != []


def test_an_end_tells_the_speed_of_its_own_episode():
    """Fast, slow, fast again and slow again: 6 m/s are in the first episode only."""
    rule = SpeedRule(
        rule_id="s",
        calibration=METRES_20.calibration,
        ground=METRES_20.ground,
        above_m_per_s=3.0,
        below_m_per_s=1.0,
    )
    feet, x = [], 0.0
    for speed_m_per_s, frames in ((6.0, 15), (0.2, 25), (4.0, 15), (0.2, 25)):
        for _ in range(frames):
            x += speed_m_per_s / 20.0 * 0.2
            feet.append((x, 0.5))
    ends = [event for event in walk(rule_set(rule), feet) if event.phase is Phase.END]
    assert [end.type for end in ends] == [
        "speed.above",
        "speed.below",
        "speed.above",
        "speed.below",
    ]
    top = [end.attributes["top_speed_m_per_s"] for end in ends[::2]]
    assert top == pytest.approx([6.0, 4.0], abs=0.05)
    least = [end.attributes["least_speed_m_per_s"] for end in ends[1::2]]
    assert least == pytest.approx([0.2, 0.2], abs=0.05)


def test_a_shaking_box_is_not_fast():
    """2.8 m/s and a foot that is up to 0.4 m to one side or the other: some slopes are above 3."""
    sides = (1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 0, 1, -1, 1, -1, -1, 1, 1, 0, 1)
    path = drive((0.14, 0.0), len(sides), (0.1, 0.5))
    shaken = [(x + 0.02 * side, y) for (x, y), side in zip(path, sides, strict=True)]
    assert walk(rule_set(METRES_20), shaken) == []


@pytest.mark.parametrize("steps", [1, 2], ids=["at once", "in two steps"])
def test_a_foot_that_comes_out_is_not_fast(steps):
    """2 m/s, and once 6 m to the side: its foot was hidden, or it is somebody else's."""
    path = drive((0.1, 0.0), 24, (0.1, 0.5))
    jumped = [(x, y + 0.3 * min(max(n - 9, 0) / steps, 1.0)) for n, (x, y) in enumerate(path)]
    assert walk(rule_set(METRES_20), jumped) == []


def test_who_is_fast_is_told_in_spite_of_a_jump():
    path = drive((0.2, 0.0), 20, (0.05, 0.5))
    jumped = [(x, y + 0.1 * (n >= 6)) for n, (x, y) in enumerate(path)]
    events = walk(rule_set(METRES_20), jumped)
    assert told(events) == [("speed.above", "new"), ("speed.above", "end")]
    assert happened_s(events[0]) <= 2.0


def test_slow_objects_are_told_too():
    rule = SpeedRule(
        rule_id="s",
        calibration=METRES_20.calibration,
        ground=METRES_20.ground,
        below_m_per_s=1.0,
    )
    assert told(walk(rule_set(rule), [(0.5, 0.5)] * 8))[0] == ("speed.below", "new")


# loitering


def test_loitering_is_staying_near_one_place():
    rule = LoiteringRule(rule_id="l", duration_s=3.0, radius=0.05)
    pacing = [(0.5 + 0.04 * math.sin(n), 0.5) for n in range(30)]
    events = walk(rule_set(rule), pacing)
    assert told(events) == [("loitering", "new"), ("loitering", "end")]
    assert happened_s(events[0]) == pytest.approx(3.0)
    assert walk(rule_set(rule), drive((0.05, 0.0), 40, (0.1, 0.5))) == []


def test_a_loiterer_who_leaves_and_comes_back_is_still_one():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    events = walk(rule_set(rule), [IN] * 10 + [OUT] * 5 + [IN] * 10)
    assert told(events)[0] == ("loitering", "new")
    assert happened_s(events[0]) == pytest.approx(4.0)


def test_people_who_pass_one_after_the_other_do_not_loiter():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    frames = []
    for track_id in range(1, 8):  # each is in the area for 0.8 s, at the same place
        frames += [(track(place, track_id=track_id),) for place in (OUT, IN, IN, IN, IN, IN, OUT)]
    assert play(rule_set(rule), frames) == []


def test_a_halt_begins_within_the_radius_of_where_it_then_stands():
    rule = LoiteringRule(rule_id="l", duration_s=4.0, radius=0.05)
    slowing = [(0.5 - 0.004 * n * n, 0.5) for n in range(10, 0, -1)]  # 0.464 at 1.4 s
    events = walk(rule_set(rule), slowing + [IN] * 30)
    assert [happened_s(event) for event in events[:1]] == pytest.approx([1.4 + 4.0])


def test_one_jump_of_the_box_ends_no_halt():
    rule = LoiteringRule(rule_id="l", duration_s=4.0, radius=0.05)
    events = walk(rule_set(rule), [IN] * 12 + [OUT] + [IN] * 12)
    assert told(events) == [("loitering", "new"), ("loitering", "end")]
    assert happened_s(events[0]) == pytest.approx(4.0)


def test_who_walked_out_of_sight_has_not_stood_where_it_is_seen_again():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    door, gone, there = (0.29, 0.5), (0.305, 0.5), (0.6, 0.5)  # in the area, within its hysteresis
    seen = [*[(track(door),)] * 3, (track(gone),)]
    hidden = [(track(gone, state=LOST),)] * 10
    events = play(rule_set(rule), [*seen, *hidden, *[(track(there),)] * 30])
    assert happened_s(events[0][1]) == pytest.approx(0.2 * 14 + 4.0)


def test_who_passes_where_a_loiterer_has_just_left_is_not_told():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    frames = [(track(place),) for place in [OUT] + [IN] * 10 + [OUT]]
    frames += [()] * 20
    frames += [(track(place, track_id=2),) for place in [OUT] + [IN] * 5 + [OUT] * 5]
    assert play(rule_set(rule), frames) == []


def test_people_who_stand_at_one_place_one_after_the_other_are_told_one_by_one():
    """As at a counter: each is seen to go before the next one comes."""
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    frames = []
    for track_id in (1, 2):
        frames += [(track(place, track_id=track_id),) for place in [IN] * 30 + [OUT] * 5]
    frames += [()] * 10
    events = [event for _, event in play(rule_set(rule), frames)]
    begun = [event for event in events if event.phase is Phase.NEW]
    assert [event.track_id for event in begun] == [1, 2]
    assert [happened_s(event) for event in begun] == pytest.approx([4.0, 7.0 + 4.0])


def test_the_end_of_who_was_seen_to_go_is_told_once_its_track_is_gone():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    frames = [(track(place),) for place in [IN] * 30 + [OUT] * 5] + [()] * 3
    (_, begun), (told_s, ended) = play(rule_set(rule), [*frames, *[()] * 200])
    assert (begun.phase, ended.phase) == (Phase.NEW, Phase.END)
    assert told_s == pytest.approx(0.2 * 35)
    assert happened_s(ended) == pytest.approx(0.2 * 29)
    assert ended.attributes["reason"] == "left"


def test_who_was_seen_to_go_and_is_still_seen_may_come_back_for_half_a_minute():
    rule = LoiteringRule(rule_id="l", polygon=MIDDLE, duration_s=4.0, radius=0.05)
    feet = [IN] * 30 + [OUT] * 200
    (_, begun), (told_s, ended) = play(rule_set(rule), [(track(foot),) for foot in feet])
    assert (begun.phase, ended.phase) == (Phase.NEW, Phase.END)
    assert told_s == pytest.approx(0.2 * 29 + 30.0, abs=0.21)  # a frame more or less
    assert happened_s(ended) == pytest.approx(0.2 * 29)
    assert ended.attributes["reason"] == "left"


def test_a_loiterer_whose_track_broke_is_still_one():
    rule = LoiteringRule(rule_id="l", duration_s=4.0, radius=0.05)
    frames = [(track(IN, track_id=1),)] * 10 + [()] * 5 + [(track(IN, track_id=2),)] * 10
    events = play(rule_set(rule), frames)
    assert told(e for _, e in events)[0] == ("loitering", "new")
    assert happened_s(events[0][1]) == pytest.approx(4.0)


# parking


def car(foot, track_id, **more):
    return track(foot, track_id=track_id, class_id=1, **more)


def test_a_parked_vehicle_is_told_once_even_if_its_track_breaks():
    rule = ParkingRule(rule_id="p", duration_s=2.0)
    frames = [(car(IN, 1),)] * 15 + [()] * 50 + [(car((0.502, 0.5), 2),)] * 50
    frames += [(car((0.502 + 0.05 * n, 0.5), 2),) for n in range(1, 5)]
    events = play(rule_set(rule), frames)
    assert told(e for _, e in events) == [("parking", "new"), ("parking", "end")]
    assert happened_s(events[0][1]) == pytest.approx(2.0)
    assert {e.track_id for _, e in events} == {1}
    assert events[1][1].attributes["reason"] == "left"
    assert happened_s(events[1][1]) == pytest.approx(0.2 * 114)
    assert events[1][1].bbox[0] > 0.48


def test_people_do_not_park_and_moving_vehicles_do_not_either():
    rule = ParkingRule(rule_id="p", duration_s=2.0)
    assert walk(rule_set(rule), [IN] * 20) == []
    frames = [(car((0.1 + 0.01 * n, 0.5), 1),) for n in range(60)]
    assert play(rule_set(rule), frames) == []


def test_a_parked_vehicle_that_is_not_seen_again_ended_when_it_was_last_seen():
    rule = ParkingRule(rule_id="p", duration_s=1.0)
    events = play(rule_set(rule), [(car(IN, 1),)] * 15 + [()] * 620)
    assert told(e for _, e in events) == [("parking", "new"), ("parking", "end")]
    assert happened_s(events[1][1]) == pytest.approx(2.8)
    assert events[1][1].attributes["reason"] == "lost"


@pytest.mark.parametrize(
    "rule",
    [
        OccupancyRule(rule_id="r", above=0, below=1),
        AbsenceRule(rule_id="r", polygon=MIDDLE, duration_s=0.5),
        IntrusionRule(rule_id="r", polygon=MIDDLE),
        EASTWARD,
        METRES_20,
        LoiteringRule(rule_id="r", duration_s=1.0),
        ParkingRule(rule_id="r", duration_s=1.0, classes=("person",)),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_what_begins_ends_and_no_id_comes_twice(rule):
    feet = drive((-0.3, 0.05), 5, (0.9, 0.4)) + [IN] * 12 + [OUT] * 3 + [IN] * 8
    frames = [group(foot, (1 - foot[0], foot[1])) for foot in feet]
    frames += [()] * 3 + [(track(IN, track_id=3),)] * 6
    rules = rule_set(rule)
    events, time_s = [], 0.0
    for index, tracks in enumerate(frames):
        time_s = 0.2 * index
        events += rules.advance(moment(time_s), tracks)
        if index == 20:
            events += rules.replace((), labels={}, moment=moment(time_s))
            assert rules.replace((rule,), labels={}, moment=moment(time_s)) == []
    events += rules.finish(moment(time_s))
    assert events
    assert len({event.event_id for event in events}) == len(events)
    begun = [event.episode_id for event in events if event.phase == "new"]
    ended = [event.episode_id for event in events if event.phase == "end"]
    assert sorted(begun) == sorted(ended)
    by_episode = {event.episode_id: event for event in events if event.phase == "new"}
    for event in events:
        assert event.occurred_at_s >= by_episode[event.episode_id].occurred_at_s


def test_tentative_tracks_are_nobody():
    rule = OccupancyRule(rule_id="o", above=0)
    assert play(rule_set(rule), [group(IN, state=TENTATIVE)] * 10) == []

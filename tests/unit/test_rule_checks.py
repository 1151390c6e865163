import math

import pytest

from vigil.spec import (
    AbsenceRule,
    CameraHealthRule,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    Learnt,
    LoiteringRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Schedule,
    SecondStage,
    Source,
    SpeedRule,
    StationaryRule,
    StreamSpec,
    TrackRule,
    TrafficRule,
    Voted,
    Window,
    violations,
)

SQUARE = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))
GROUND = (GroundPoint(0, 0), GroundPoint(9, 0), GroundPoint(9, 9), GroundPoint(0, 9))
IN_A_LINE = (Point(0.1, 0.5), Point(0.3, 0.5), Point(0.6, 0.501), Point(0.9, 0.9))  # three of them
GROUND_IN_A_LINE = tuple(GroundPoint(x, 0) for x in range(4))
GROUND_CROSSED = (GROUND[0], GROUND[2], GROUND[1], GROUND[3])
MIRRORED = tuple(reversed(GROUND))  # seen from below, say: speeds are the same
EAST = {"start": Point(0.1, 0.5), "end": Point(0.9, 0.5)}
OFFICE = Schedule(time_zone="Europe/Berlin", windows=(Window(days=(0, 4), start_s=0, end_s=6),))


def fields(rule):
    spec = StreamSpec(stream_id="gate", source=Source(uri="rtsp://camera/1"), rules=(rule,))
    return [violation.field.removeprefix("rules[0].") for violation in violations(spec)]


@pytest.mark.parametrize(
    "rule",
    [
        OccupancyRule(rule_id="r", above=0.0),
        OccupancyRule(rule_id="r", polygon=SQUARE, below=3, duration_s=60),
        DirectionRule(rule_id="r", **EAST),
        SpeedRule(rule_id="r", calibration=SQUARE, ground=GROUND, above_m_per_s=9.0),
        SpeedRule(rule_id="r", calibration=SQUARE, ground=MIRRORED, above_m_per_s=9.0),
        LoiteringRule(rule_id="r", duration_s=60),
        ParkingRule(rule_id="r", polygon=SQUARE, duration_s=600),
        IntrusionRule(rule_id="r"),
        IntrusionRule(rule_id="r", schedule=OFFICE),
        AbsenceRule(rule_id="r", duration_s=0.0, schedule=OFFICE),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_sound_rules_are_accepted(rule):
    assert fields(rule) == []


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (OccupancyRule(rule_id="r"), "occupancy.above"),
        (OccupancyRule(rule_id="r", above=math.nan), "occupancy.above"),
        (OccupancyRule(rule_id="r", above=1, duration_s=-1), "occupancy.duration"),
        (OccupancyRule(rule_id="r", above=1, polygon=SQUARE[:2]), "occupancy.polygon"),
        (DirectionRule(rule_id="r", start=SQUARE[0], end=SQUARE[0]), "direction.to"),
        (DirectionRule(rule_id="r", **EAST, tolerance_degrees=180), "direction.tolerance_degrees"),
        (SpeedRule(rule_id="r", calibration=SQUARE, ground=GROUND), "speed.above_m_per_s"),
        (
            SpeedRule(rule_id="r", calibration=SQUARE, ground=GROUND[:3], above_m_per_s=1),
            "speed.ground",
        ),
        (
            SpeedRule(rule_id="r", calibration=(SQUARE[0],) * 4, ground=GROUND, above_m_per_s=1),
            "speed.calibration",
        ),
        (
            SpeedRule(
                rule_id="r",
                calibration=SQUARE,
                ground=(*GROUND[:3], GroundPoint(math.inf, 0)),
                above_m_per_s=1,
            ),
            "speed.ground[3].x_m",
        ),
        (
            SpeedRule(rule_id="r", calibration=IN_A_LINE, ground=GROUND, above_m_per_s=1),
            "speed.calibration",
        ),
        (
            SpeedRule(rule_id="r", calibration=SQUARE, ground=GROUND_IN_A_LINE, above_m_per_s=1),
            "speed.ground",
        ),
        (
            SpeedRule(rule_id="r", calibration=SQUARE, ground=GROUND_CROSSED, above_m_per_s=1),
            "speed.ground",
        ),
        (CameraHealthRule(rule_id="r", duration_s=0.5), "camera_health.duration"),
        (CameraHealthRule(rule_id="r", duration_s=300), "camera_health.duration"),
        (OccupancyRule(rule_id="r", below=0), "occupancy.below"),
        (
            OccupancyRule(rule_id="r", above=Learnt(deviations=0.5)),
            "occupancy.above.learnt.deviations",
        ),
        (OccupancyRule(rule_id="r", below=Learnt(warm_up_s=60)), "occupancy.below.learnt.warm_up"),
        (TrafficRule(rule_id="r", points=SQUARE[:2]), "traffic.above"),
        (TrafficRule(rule_id="r", points=SQUARE[:1], above=1.0), "traffic.points"),
        (TrafficRule(rule_id="r", points=SQUARE[:2], above=1.0, window_s=1), "traffic.window"),
        (StationaryRule(rule_id="r", duration_s=1), "stationary.duration"),
        (StationaryRule(rule_id="r", duration_s=3601), "stationary.duration"),
        (StationaryRule(rule_id="r", duration_s=9, polygon=SQUARE[:2]), "stationary.polygon"),
        (LoiteringRule(rule_id="r", duration_s=0), "loitering.duration"),
        (LoiteringRule(rule_id="r", duration_s=9, radius=0), "loitering.radius"),
        (ParkingRule(rule_id="r", duration_s=math.nan), "parking.duration"),
        (
            IntrusionRule(rule_id="r", schedule=Schedule(time_zone="Mars/Olympus")),
            "intrusion.schedule.time_zone",
        ),
        (
            IntrusionRule(rule_id="r", schedule=Schedule(time_zone="../etc/passwd")),
            "intrusion.schedule.time_zone",
        ),
        (
            AbsenceRule(rule_id="r", duration_s=1, schedule=Schedule(windows=(Window(days=(7,)),))),
            "absence.schedule.windows[0].days",
        ),
        (
            AbsenceRule(
                rule_id="r", duration_s=1, schedule=Schedule(windows=(Window(end_s=90000),))
            ),
            "absence.schedule.windows[0].end",
        ),
        (
            IntrusionRule(rule_id="r", schedule=Schedule(windows=(Window(start_s=86400.0),))),
            "intrusion.schedule.windows[0].start",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_accepted_is_named(rule, field):
    assert field in fields(rule)


def test_limits_are_said_in_full():
    spec = StreamSpec(
        stream_id="gate",
        source=Source(uri="rtsp://camera/1"),
        rules=(LoiteringRule(rule_id="r", duration_s=0.25),),
    )
    assert [each.description for each in violations(spec)] == [
        "is 0.25; give 1 to 31622400 seconds"
    ]


VAN = Voted(classifier="type", classes=("van",))


@pytest.mark.parametrize(
    ("voted", "field"),
    [
        ((Voted(classifier="Type", classes=("van",)),), "voted[0].classifier"),
        ((Voted(classifier="type", classes=()),), "voted[0].classes"),
        ((Voted(classifier="type", classes=("",)),), "voted[0].classes"),
        ((VAN, VAN), "voted[1].classifier"),
    ],
)
def test_what_a_rule_wants_of_second_stages_must_make_sense(voted, field):
    assert fields(TrackRule(rule_id="r", voted=voted)) == [field]


def test_a_classifier_that_only_rules_name_is_a_second_stage_for_their_classes():
    def stages(*rules, given=()):
        source = Source(uri="rtsp://camera/1")
        spec = StreamSpec(stream_id="gate", source=source, rules=rules, second_stages=given)
        return spec.all_second_stages

    cars = TrackRule(rule_id="a", classes=("car",), voted=(VAN,))
    lorries = ParkingRule(rule_id="b", duration_s=60, classes=("truck", "car"), voted=(VAN,))
    every = TrackRule(rule_id="c", voted=(VAN,))
    parking = ParkingRule(rule_id="d", duration_s=60, voted=(VAN,))
    assert stages(TrackRule(rule_id="a")) == ()
    assert stages(cars, lorries) == (SecondStage(classifier="type", classes=("car", "truck")),)
    assert stages(cars, every) == (SecondStage(classifier="type"),)
    assert "person" not in stages(parking)[0].classes
    given = (SecondStage(classifier="type", classes=("car",)),)
    assert stages(cars, lorries, given=given) == given, "what the definition says of it holds"


def test_a_second_stage_that_never_sees_a_rule_s_objects_is_refused():
    def wrong(*, classes, stages):
        rule = TrackRule(rule_id="r", classes=classes, voted=(VAN,))
        spec = StreamSpec(
            stream_id="gate",
            source=Source(uri="rtsp://camera/1"),
            rules=(rule,),
            second_stages=stages,
        )
        return [violation.field for violation in violations(spec)]

    cars_only = (SecondStage(classifier="type", classes=("car",)),)
    assert wrong(classes=("truck",), stages=cars_only) == ["rules[0].voted[0].classifier"]
    assert wrong(classes=("truck", "car"), stages=cars_only) == []
    assert wrong(classes=(), stages=cars_only) == []
    four = tuple(SecondStage(classifier=f"other-{n}") for n in range(4))
    assert wrong(classes=(), stages=four) == ["rules"]

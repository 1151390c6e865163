import contextlib
import math
from typing import get_args
from urllib.parse import quote

import msgspec
import pytest
from google.protobuf.message import DecodeError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vigil.api.convert import StreamMessages, spec_from_message, spec_message
from vigil.api.errors import status_of, within
from vigil.api.rule_reader import rule_from_message
from vigil.api.rule_writer import rule_message
from vigil.api.secrets import keep_secrets, shown_uri, split_user
from vigil.api.stream_service import DefinitionReader
from vigil.data import OfflineReason, StreamState
from vigil.errors import FieldViolation, InvalidRequest, VigilError
from vigil.fleet.contract import Stream, StreamStatus
from vigil.fleet.policy import SourcePolicy
from vigil.spec import (
    AbsenceRule,
    CameraCheck,
    CameraHealthRule,
    CaptureBackend,
    Direction,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    Learnt,
    LineRule,
    LoiteringRule,
    MarkerRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    Schedule,
    Source,
    SpeedRule,
    StationaryRule,
    StreamSpec,
    TrackRule,
    TrafficRule,
    Voted,
    Window,
    ZoneRule,
)
from vigil.v1 import geometry_pb2, rules_pb2, streams_pb2

TRAILER_BYTES = 8 * 1024  # what clients take
READER = DefinitionReader(
    policy=SourcePolicy(), default_backend=CaptureBackend.OPENCV, model="vigil-det-n"
)

texts = st.text(max_size=40)
numbers = st.floats(allow_nan=True, allow_infinity=True)
durations = st.fixed_dictionaries(
    {"seconds": st.integers(-(2**63), 2**63 - 1), "nanos": st.integers(-(2**31), 2**31 - 1)}
)
points = st.lists(st.fixed_dictionaries({"x": numbers, "y": numbers}), max_size=5)
kinds = st.one_of(
    st.fixed_dictionaries(
        {
            "zone": st.fixed_dictionaries(
                {"polygon": points},
                optional={"dwell": durations, "update_interval": durations, "hysteresis": numbers},
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "line": st.fixed_dictionaries(
                {"points": points}, optional={"direction": st.integers(0, 9), "hysteresis": numbers}
            )
        }
    ),
    st.just({"track": {}}),
    st.just({"marker": {}}),
    st.fixed_dictionaries(
        {
            "occupancy": st.fixed_dictionaries(
                {"polygon": points, "above": st.fixed_dictionaries({"value": numbers})}
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "absence": st.fixed_dictionaries(
                {"duration": durations, "schedule": st.fixed_dictionaries({"time_zone": texts})}
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "stationary": st.fixed_dictionaries(
                {"polygon": points}, optional={"duration": durations, "left": st.booleans()}
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "camera_health": st.fixed_dictionaries(
                {}, optional={"checks": st.lists(st.integers(0, 9)), "duration": durations}
            )
        }
    ),
    st.just({}),
)
voted = st.fixed_dictionaries({"classifier": texts, "classes": st.lists(texts, max_size=3)})
rules = st.tuples(
    st.fixed_dictionaries(
        {"rule_id": texts, "min_score": numbers}, optional={"voted": st.lists(voted, max_size=2)}
    ),
    kinds,
).map(lambda parts: parts[0] | parts[1])
specs = st.fixed_dictionaries(
    {},
    optional={
        "stream_id": texts,
        "source": st.fixed_dictionaries(
            {"uri": texts},
            optional={
                "pace": st.integers(0, 9),
                "backend": st.integers(0, 9),
                "folder_fps": numbers,
            },
        ),
        "detect_fps": numbers,
        "priority": st.integers(0, 2**32 - 1),
        "model": texts,
        "min_score": numbers,
        "rules": st.lists(rules, max_size=6),
        "labels": st.dictionaries(texts, texts, max_size=4),
        "privacy_masks": st.lists(st.fixed_dictionaries({"points": points}), max_size=3),
    },
)


@settings(deadline=None)
@given(specs)
def test_any_definition_is_taken_or_refused_with_a_status_that_fits(
    fields: dict[str, object],
) -> None:
    message = streams_pb2.StreamSpec(**fields)
    try:
        spec = READER.read(message)
    except VigilError as error:
        status = status_of(within("spec", error) if isinstance(error, InvalidRequest) else error)
        assert status.code in (3, 12)  # INVALID_ARGUMENT, UNIMPLEMENTED
        assert status.message.isascii()
        assert 3 * len(status.message) + 4 * status.ByteSize() // 3 < TRAILER_BYTES
    else:
        again = spec_from_message(spec_message(spec), default_backend=CaptureBackend.PYAV)
        assert again == spec


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    with contextlib.suppress(DecodeError, VigilError):
        READER.read(streams_pb2.StreamSpec.FromString(content))


def test_the_worst_refusal_fits_into_a_trailer() -> None:
    violations = [FieldViolation("ü\0\n" * 500, "\U0001f600" * 500) for _ in range(5000)]
    status = status_of(InvalidRequest(violations))
    # grpc-message escapes what is not printable ASCII, % included; the details travel in base64.
    assert 3 * len(status.message) + 4 * status.ByteSize() // 3 < TRAILER_BYTES


@given(user=st.text(min_size=1, max_size=20), password=st.text(max_size=40))
def test_escaped_credentials_of_any_text_are_split_off_whole(user: str, password: str) -> None:
    bare = "rtsp://camera.example:554/live?channel=1#x"
    given_uri = bare.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@")
    assert split_user(given_uri) == (bare, user, password)


@given(st.text(max_size=60))
def test_a_uri_without_an_authority_is_left_as_it_is(text: str) -> None:
    assume("@" not in text)
    assert split_user(text) == (text, "", "")


def test_the_last_at_of_the_authority_ends_the_credentials() -> None:
    assert split_user("rtsp://a:b@c@host/x@y") == ("rtsp://host/x@y", "a", "b@c")
    assert split_user("rtsp://host/x@y") == ("rtsp://host/x@y", "", "")
    assert split_user("rtsp://user@host") == ("rtsp://host", "user", "")


def test_values_that_look_like_secrets_are_blanked() -> None:
    for secret, shown in (
        ("http://c/x?user=a&pwd=s3&b=1", "http://c/x?user=a&pwd=***&b=1"),
        ("http://c/x?PASSWORD=s3", "http://c/x?PASSWORD=***"),
        ("rtsp://c/user=admin&password=s3&channel=1", "rtsp://c/user=admin&password=***&channel=1"),
        ("http://c/x?access_token=s3#t", "http://c/x?access_token=***#t"),
        ("http://c/x?apikey=s3;token=s3/y", "http://c/x?apikey=***;token=***/y"),
        ("rtsp://c/live?channel=1", "rtsp://c/live?channel=1"),
    ):
        assert shown_uri(secret) == shown
        assert shown_uri(shown) == shown


def test_secrets_are_kept_only_for_the_place_that_they_were_given_for() -> None:
    held = Source(uri="rtsp://Camera.example/x?pwd=s3", username="u", password="p")
    same = keep_secrets(Source(uri="rtsp://camera.example:554/y"), held, given=False)
    assert (same.username, same.password) == ("u", "p")
    shown = keep_secrets(Source(uri=shown_uri(held.uri)), held, given=False)
    assert shown == held
    for uri in (
        "rtsp://other/x",
        "rtsps://camera.example/x",
        "rtsp://camera.example:555/x",
        "rtsp://[x",
        "push:",
    ):
        assert keep_secrets(Source(uri=uri), held, given=False).password == ""
    assert keep_secrets(Source(uri=held.uri), held, given=True).password == ""


def test_default_numbers_are_those_of_the_contract() -> None:
    spec = spec_from_message(streams_pb2.StreamSpec(), default_backend=CaptureBackend.PYAV)
    assert (spec.enabled, spec.detect_fps, spec.priority, spec.min_score) == (True, 5.0, 1, 0.0)
    assert spec.source.folder_fps == 5.0
    assert spec.source.backend is CaptureBackend.PYAV
    assert math.isfinite(spec.detect_fps)


AREA = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0))
NIGHT = Schedule(
    time_zone="Europe/Berlin", windows=(Window(days=(0, 6), start_s=79200.0, end_s=21600.5),)
)
RULES: tuple[Rule, ...] = (
    ZoneRule(
        rule_id="a", polygon=AREA, classes=("car",), min_score=0.5, dwell_s=1.5, hysteresis=0.0
    ),
    LineRule(rule_id="a", points=AREA, direction=Direction.RIGHT, hysteresis=0.125),
    TrackRule(
        rule_id="a",
        classes=("car",),
        update_s=2.5,
        voted=(Voted(classifier="type", classes=("van", "taxi")),),
    ),
    MarkerRule(rule_id="a"),
    OccupancyRule(rule_id="a", polygon=AREA, above=3.0, duration_s=2.0, update_s=4.0),
    OccupancyRule(rule_id="a", below=0.0, classes=("person",)),
    OccupancyRule(rule_id="a", above=Learnt(), below=Learnt(deviations=2.5, warm_up_s=86400.0)),
    TrafficRule(
        rule_id="a", points=AREA, direction=Direction.LEFT, window_s=60.0, above=Learnt(), below=1.0
    ),
    DirectionRule(rule_id="a", start=AREA[1], end=AREA[2], tolerance_degrees=30.0, duration_s=1.0),
    SpeedRule(
        rule_id="a",
        calibration=(*AREA, Point(0.0, 1.0)),
        ground=(
            GroundPoint(0.0, 0.0),
            GroundPoint(5.0, 0.0),
            GroundPoint(5.0, 9.5),
            GroundPoint(-1.0, 9.0),
        ),
        above_m_per_s=3.0,
        below_m_per_s=0.5,
    ),
    LoiteringRule(rule_id="a", polygon=AREA, duration_s=60.0, radius=0.25),
    ParkingRule(rule_id="a", polygon=AREA, duration_s=300.0, min_score=0.25),
    IntrusionRule(rule_id="a", polygon=AREA, schedule=NIGHT),
    AbsenceRule(rule_id="a", duration_s=30.0, schedule=NIGHT),
    StationaryRule(rule_id="a", polygon=AREA, duration_s=60.0, removed=False),
    CameraHealthRule(rule_id="a", checks=(CameraCheck.FROZEN, CameraCheck.SLOW), duration_s=3.0),
)


def test_every_kind_of_rule_there_is_has_its_message() -> None:
    assert {type(rule) for rule in RULES} == set(get_args(Rule))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_rule_comes_back_as_it_was_given(rule: Rule) -> None:
    message = rule_message(rule)
    assert rule_from_message("rules[0]", message) == rule
    assert rules_pb2.Rule.FromString(message.SerializeToString()) == message


def test_left_out_parameters_of_rules_get_their_defaults() -> None:

    def read(**kind: object) -> Rule:
        return rule_from_message("rules[0]", rules_pb2.Rule(rule_id="a", **kind))  # type: ignore[arg-type]

    assert read(occupancy={"above": {"learnt": {}}}).above == Learnt()
    assert read(traffic={}) == TrafficRule(rule_id="a", points=())
    stationary = read(stationary={"duration": {"seconds": 9}})
    assert stationary == StationaryRule(rule_id="a", duration_s=9.0)
    assert read(camera_health={}) == CameraHealthRule(rule_id="a")
    assert read(zone={}) == ZoneRule(rule_id="a", polygon=())
    assert read(line={}) == LineRule(rule_id="a", points=())
    assert read(track={}) == TrackRule(rule_id="a")
    assert read(occupancy={"above": {}}) == OccupancyRule(rule_id="a")
    assert read(intrusion={}) == IntrusionRule(rule_id="a")
    assert read(absence={}) == AbsenceRule(rule_id="a", duration_s=0.0)
    assert read(loitering={}) == LoiteringRule(rule_id="a", duration_s=0.0)
    here = geometry_pb2.Point(x=0.5)
    direction = read(direction={"from": here, "to": here})
    assert isinstance(direction, DirectionRule)
    assert direction.tolerance_degrees == 60.0


def test_a_definition_is_converted_once_and_anew_when_it_changes() -> None:
    messages = StreamMessages()
    spec = StreamSpec(stream_id="gate", source=Source(uri="rtsp://h/"), labels={"site": "north"})
    status = StreamStatus(
        state=StreamState.OFFLINE,
        since_s=1_750_000_000.5,
        reason=OfflineReason.UNREACHABLE,
        next_retry_s=1_750_000_002.0,
        reconnects=3,
    )
    stream = Stream(spec=spec, generation=1, status=status)
    first = messages.of(stream)
    first.spec.labels["site"] = "what a caller does with its copy"
    shown = messages.of(stream)
    assert shown.spec.labels["site"] == "north"
    assert shown.status.state == streams_pb2.StreamStatus.OFFLINE
    assert shown.status.reason == streams_pb2.StreamStatus.UNREACHABLE
    assert (shown.status.since.ToMilliseconds(), shown.status.reconnects) == (1_750_000_000_500, 3)
    assert shown.status.next_retry.seconds == 1_750_000_002
    changed = msgspec.structs.replace(spec, labels={"site": "south"})
    assert messages.of(msgspec.structs.replace(stream, spec=changed)).spec.labels["site"] == "south"
    other = msgspec.structs.replace(
        stream, status=StreamStatus(state=StreamState.ONLINE, since_s=1)
    )
    assert not messages.of(other).status.HasField("next_retry")
    assert messages.of(other).status.reason == streams_pb2.StreamStatus.REASON_UNSPECIFIED

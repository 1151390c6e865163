"""Protobuf times to seconds and back."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from vigil.errors import FieldViolation

_YEAR_10000_S = 253_402_300_800


def timestamp(utc_s: float) -> Timestamp:
    """UTC seconds as a Timestamp, rounded to microseconds: a float holds no more."""
    message = Timestamp()
    set_timestamp(message, utc_s)
    return message


def set_timestamp(message: Timestamp, utc_s: float) -> None:
    """The same into a message that is there."""
    message.FromMicroseconds(round(utc_s * 1e6))


def utc_s(message: Timestamp, *, field: str) -> float:
    """A Timestamp as UTC seconds. Raises FieldViolation where it is outside its definition."""
    if not (0 <= message.seconds < _YEAR_10000_S and 0 <= message.nanos < 1_000_000_000):
        raise FieldViolation(field, "is no time from 1970 to 9999")
    return message.seconds + message.nanos / 1e9


def duration(seconds: float) -> Duration:
    """Seconds as a Duration, rounded to microseconds."""
    message = Duration()
    message.FromMicroseconds(round(seconds * 1e6))
    return message


def duration_s(message: Duration) -> float:
    """A Duration as seconds."""
    return message.seconds + message.nanos / 1e9

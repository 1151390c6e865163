"""The published JSON: exactly the contract's keys, copies that differ in one place, and back."""

import json

import msgspec
import pytest

from vigil.bench.events import make_events
from vigil.data import Event, Phase
from vigil.events.schema import MalformedEvent, decode, encode, stamp

KEYS = [
    "event_id", "episode_id", "type", "phase", "stream_id", "run", "event_seq", "rule_id", "track_id",
    "class", "score", "bbox", "occurred_at", "published_at", "labels", "attributes", "snapshot",
]  # fmt: skip


def event(**changes: object) -> Event:
    return msgspec.structs.replace(
        make_events(1, streams=1)[0], occurred_at_s=1_769_847_300.25, captured_s=0.0, **changes
    )


def bare() -> Event:
    return event(
        rule_id=None,
        track_id=None,
        class_name=None,
        score=None,
        bbox=None,
        labels={},
        attributes={},
    )


def test_all_keys_are_there_in_order_whether_they_apply_or_not() -> None:
    for each in (event(), bare()):
        assert list(json.loads(encode(each, 7))) == KEYS


def test_values_are_written_as_the_contract_says() -> None:
    written = json.loads(encode(event(score=0.0, track_id=0, phase=Phase.END), 7))
    assert written["phase"] == "end"
    assert written["event_seq"] == 7
    assert written["track_id"] == 0  # a zero is kept, and a number
    assert written["score"] == 0.0
    assert written["class"] == "person"
    assert written["bbox"] == [0.25, 0.5, 0.375, 0.875]
    assert written["occurred_at"] == "2026-01-31T08:15:00.250Z"
    assert written["published_at"] is None
    assert written["attributes"] == {"duration_s": 1.5, "foot": {"x": 0.3125, "y": 0.875}}


def test_what_does_not_apply_is_null() -> None:
    written = json.loads(encode(bare(), 1))
    nulls = {key for key, value in written.items() if value is None}
    assert nulls == {"rule_id", "track_id", "class", "score", "bbox", "published_at", "snapshot"}


def test_copies_differ_in_published_at_alone() -> None:
    body = encode(event(), 7)
    copies = [json.loads(stamp(body, at)) for at in (b"2026-01-31T08:15:01.000Z", b"later")]
    assert [copy.pop("published_at") for copy in copies] == ["2026-01-31T08:15:01.000Z", "later"]
    assert copies[0] == copies[1]


def test_a_hostile_label_does_not_take_the_stamp() -> None:
    nasty = event(
        type='"published_at":null',
        rule_id='","published_at":null,"x":"',
        labels={'"published_at":null': '"published_at":null'},
    )
    copy = json.loads(stamp(encode(nasty, 1), b"2026-01-31T08:15:01.000Z"))
    assert copy["published_at"] == "2026-01-31T08:15:01.000Z"
    assert copy["labels"] == {'"published_at":null': '"published_at":null'}
    assert copy["rule_id"] == nasty.rule_id


@pytest.mark.parametrize("each", [event(), bare()], ids=["full", "bare"])
def test_what_is_written_is_read_back(each: Event) -> None:
    assert decode(encode(each, 9)) == (each, 9, None)
    assert decode(stamp(encode(each, 9), b"2026-01-31T08:15:01.500Z")).published_at_s == (
        1_769_847_301.5
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"event_id": 3}', b"\xff"])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        decode(body)

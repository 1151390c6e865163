"""An event as the JSON that is published: the keys of the contract, all of them, always.

Every copy of an event is identical but for ``published_at``, so the text is made once, with a null
there, and each copy is stamped.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

from vigil.clock import rfc3339
from vigil.data import Attributes, Event, Phase
from vigil.errors import VigilError

# A quote within a JSON string is escaped, so this text can only be the key itself.
_UNSTAMPED = b'"published_at":null'


class MalformedEvent(VigilError):
    """A text that is not an event of this contract."""

    code = "DATA_LOSS"


class Published(NamedTuple):
    """An event with what the outbox and the publisher added. ``captured_s`` is 0: it does not travel."""

    event: Event
    event_seq: int
    published_at_s: float | None  # UTC; None: not handed to Redis yet


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON object, key by key, in this order."""

    event_id: str
    episode_id: str
    type: str
    phase: Phase
    stream_id: str
    run: int
    event_seq: int
    rule_id: str | None
    track_id: int | None
    class_: str | None = msgspec.field(name="class")
    score: float | None
    bbox: tuple[float, float, float, float] | None  # normalised xyxy
    occurred_at: str
    published_at: str | None
    labels: dict[str, str]
    attributes: Attributes
    snapshot: str | None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Wire)


def encode(event: Event, event_seq: int) -> bytes:
    """The JSON of an event that is not published yet."""
    return _encoder.encode(
        _Wire(
            event_id=event.event_id,
            episode_id=event.episode_id,
            type=event.type,
            phase=event.phase,
            stream_id=event.stream_id,
            run=event.run,
            event_seq=event_seq,
            rule_id=event.rule_id,
            track_id=event.track_id,
            class_=event.class_name,
            score=event.score,
            bbox=event.bbox,
            occurred_at=rfc3339(event.occurred_at_s),
            published_at=None,
            labels=event.labels,
            attributes=event.attributes,
            snapshot=event.snapshot,
        )
    )


def stamp(body: bytes, published_at: bytes) -> bytes:
    """The same JSON with its time of publishing, given as RFC 3339."""
    return body.replace(_UNSTAMPED, b'"published_at":"%b"' % published_at, 1)


def decode(body: bytes) -> Published:
    """Read what `encode` or `stamp` made. Raises MalformedEvent."""
    try:
        wire = _decoder.decode(body)
        event = Event(
            event_id=wire.event_id,
            episode_id=wire.episode_id,
            type=wire.type,
            phase=wire.phase,
            stream_id=wire.stream_id,
            run=wire.run,
            rule_id=wire.rule_id,
            track_id=wire.track_id,
            class_name=wire.class_,
            score=wire.score,
            bbox=wire.bbox,
            occurred_at_s=datetime.fromisoformat(wire.occurred_at).timestamp(),
            captured_s=0.0,
            labels=wire.labels,
            attributes=wire.attributes,
            snapshot=wire.snapshot,
        )
        published_at = wire.published_at and datetime.fromisoformat(wire.published_at).timestamp()
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedEvent(f"this is no event as vigil writes it: {error}") from error
    return Published(event, wire.event_seq, published_at or None)

"""One event as one line: for people in colours, for programs as the JSON that is in Redis."""

from datetime import UTC, datetime

import click
from google.protobuf.struct_pb2 import Struct

from vigil.clock import rfc3339
from vigil.data import Event, JsonScalar, Phase
from vigil.events.schema import Published, encode, stamp
from vigil.v1 import events_pb2

_COLOURS = {"zone": "green", "line": "cyan", "camera": "red", "marker": "bright_black"}
_PHASES = {
    events_pb2.Event.NEW: Phase.NEW,
    events_pb2.Event.UPDATE: Phase.UPDATE,
    events_pb2.Event.END: Phase.END,
}


def json_line(published: Published) -> str:
    """The JSON of the contract, whichever way the event came."""
    body = encode(published.event, published.event_seq)
    if published.published_at_s is not None:
        body = stamp(body, rfc3339(published.published_at_s).encode())
    return body.decode()


def human_line(published: Published) -> str:
    """When, where, what, who, and what the rule has to say."""
    event = published.event
    when = datetime.fromtimestamp(event.occurred_at_s, UTC).astimezone()
    family = event.type.partition(".")[0]
    parts = [
        click.style(when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], dim=True),
        click.style(event.stream_id, bold=True),
        click.style(f"{event.type} {event.phase.value}", fg=_COLOURS.get(family)),
    ]
    if event.class_name is not None:
        track = "" if event.track_id is None else f" {event.track_id}"
        score = "" if event.score is None else f" ({event.score:.2f})"
        parts.append(f"{event.class_name}{track}{score}")
    if event.rule_id is not None:
        parts.append(f"rule {event.rule_id}")
    parts += [f"{name}={_brief(value)}" for name, value in sorted(event.attributes.items())]
    parts.append(click.style(f"#{published.event_seq}", dim=True))
    return "  ".join(parts)


def from_message(message: events_pb2.Event) -> Published:
    """An event as the service sends it."""
    box = message.bbox
    event = Event(
        event_id=message.event_id,
        episode_id=message.episode_id,
        type=message.type,
        phase=_PHASES[message.phase],
        stream_id=message.stream_id,
        run=message.run,
        rule_id=message.rule_id if message.HasField("rule_id") else None,
        track_id=message.track_id if message.HasField("track_id") else None,
        class_name=getattr(message, "class") if message.HasField("class") else None,
        score=message.score if message.HasField("score") else None,
        bbox=(box.x1, box.y1, box.x2, box.y2) if message.HasField("bbox") else None,
        occurred_at_s=message.occurred_at.ToMicroseconds() / 1e6,
        captured_s=0.0,
        labels=dict(message.labels),
        attributes={name: _value(value) for name, value in sorted(message.attributes.items())},
        snapshot=message.snapshot or None,
    )
    published_at_s = None
    if message.HasField("published_at"):
        published_at_s = message.published_at.ToMicroseconds() / 1e6
    return Published(event, message.event_seq, published_at_s)


def _value(value: object) -> JsonScalar | dict[str, JsonScalar]:
    """A value of a Struct, which knows no integers: whole numbers become such again."""
    if isinstance(value, Struct):
        return {name: _scalar(inner) for name, inner in sorted(value.items())}
    return _scalar(value)


def _scalar(value: object) -> JsonScalar:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{_brief(inner)}" for name, inner in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""`vigil events`: follows events, or replays those of the past, from the service or straight from Redis."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from vigil.cli.client import TIMEOUT_S, address_option, call, connected
from vigil.cli.event_line import from_message, human_line, json_line
from vigil.data import Phase
from vigil.events import reader
from vigil.events.log import EventFilter
from vigil.events.schema import Published
from vigil.events.settings import EventSettings
from vigil.v1 import events_pb2, snapshots_pb2
from vigil.v1.events_pb2_grpc import EventServiceStub
from vigil.v1.snapshots_pb2_grpc import SnapshotServiceStub

F = TypeVar("F", bound=Callable[..., Any])
PAGE = 500
_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|min|m|h|d)")
_AGE_S = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Moment(click.ParamType[float]):
    """A time (RFC 3339) or an age (90s, 15min, 2h, 3d), as UTC seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read one; a time without offset is local."""
        if isinstance(value, float):
            return value
        if age := _AGE.fullmatch(value):
            return time.time() - float(age[1]) * _AGE_S[age[2]]
        try:
            return datetime.fromisoformat(value).astimezone().timestamp()
        except ValueError:
            self.fail(f"{value!r} is neither a time (2026-01-31T08:15:00Z) nor an age (90s, 2h)")


def _event_options(command: F) -> F:
    """Adds what both commands take: where from, which events, and how they are printed."""
    for option in reversed(
        (
            address_option,
            click.option("--redis", "redis_url", metavar="URL", help="Read from Redis instead."),
            click.option(
                "--prefix",
                default=EventSettings().prefix,
                show_default=True,
                help="With --redis: the stream's key is PREFIX:events.",
            ),
            click.option("--stream", "streams", multiple=True, help="Only of this stream."),
            click.option(
                "--type",
                "types",
                multiple=True,
                help="Only this type: zone.enter, or zone.* for all.",
            ),
            click.option(
                "--phase", "phases", multiple=True, type=click.Choice([p.value for p in Phase])
            ),
            click.option("--rule", "rules", multiple=True, help="Only of this rule."),
            click.option(
                "--class", "classes", multiple=True, help="Only of objects of this class."
            ),
            click.option(
                "--attribute",
                "attributes",
                multiple=True,
                metavar="NAME=VALUE",
                help="Only with this attribute: vigil-vehicle-type=truck, direction=left; all must hold.",
            ),
            click.option("--limit", type=click.IntRange(min=1), help="End after so many events."),
            click.option("--json", "as_json", is_flag=True, help="The published JSON, one a line."),
        )
    ):
        command = option(command)
    return command


@click.group(epilog="Example: vigil events tail --stream gate --type 'zone.*'")
def events() -> None:
    """Follow events as they happen, or replay those of the past."""


@events.command(
    epilog="Example: vigil events tail --redis redis://127.0.0.1:6379/0 --json | jq .type"
)
@click.option("--cursor", default="", help="Resume after this cursor (--redis: an entry's id).")
@_event_options
def tail(
    cursor: str,
    address: str,
    redis_url: str | None,
    prefix: str,
    limit: int | None,
    as_json: bool,
    **which: Any,
) -> None:
    """Print events as they happen, until Ctrl-C."""
    where = _filter(**which)
    show = partial(_show, limit=limit, as_json=as_json)
    if redis_url is not None:
        key = EventSettings(prefix=prefix).key
        followed = reader.follow(redis_url, key=key, after=cursor or reader.NOW)
        asyncio.run(_show_entries(followed, where, limit=limit, as_json=as_json))
        return
    with connected(address) as channel, contextlib.suppress(KeyboardInterrupt):
        request = events_pb2.WatchEventsRequest(filter=_message(where), cursor=cursor)
        answers = EventServiceStub(channel).WatchEvents(request)
        show(from_message(answer.event) for answer in answers)


@events.command(epilog="Example: vigil events replay --since 2h --stream gate")
@click.option("--since", "start_s", type=Moment(), help="From this time or age on.")
@click.option("--until", "end_s", type=Moment(), help="Before this time or age.")
@_event_options
def replay(
    start_s: float | None,
    end_s: float | None,
    address: str,
    redis_url: str | None,
    prefix: str,
    limit: int | None,
    as_json: bool,
    **which: Any,
) -> None:
    """Print the events that are kept, oldest first, and end."""
    where = _filter(**which, start_s=start_s, end_s=end_s)
    if redis_url is not None:
        entries = reader.everything(redis_url, key=EventSettings(prefix=prefix).key)
        asyncio.run(_show_entries(entries, where, limit=limit, as_json=as_json))
        return
    with connected(address) as channel, contextlib.suppress(KeyboardInterrupt):
        _show(_listed(EventServiceStub(channel), where), limit=limit, as_json=as_json)


@events.command(epilog="Example: vigil events snapshot 91d2… --output door.jpg")
@click.argument("episode_id")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A .jpg."
)
@address_option
def snapshot(episode_id: str, output: Path, address: str) -> None:
    """Fetch the picture that an event was found in."""
    request = snapshots_pb2.GetEventSnapshotRequest(episode_id=episode_id)
    with connected(address) as channel:
        answer = call(SnapshotServiceStub(channel).GetEventSnapshot, request)
    output.write_bytes(answer.jpeg)
    click.echo(human_line(from_message(answer.event)))


def _listed(stub: EventServiceStub, where: EventFilter) -> Iterator[Published]:
    request = events_pb2.ListEventsRequest(filter=_message(where), page_size=PAGE)
    if where.start_s is not None:
        request.start_time.FromMicroseconds(round(where.start_s * 1e6))
    if where.end_s is not None:
        request.end_time.FromMicroseconds(round(where.end_s * 1e6))
    while True:
        answer = stub.ListEvents(request, timeout=TIMEOUT_S)
        yield from map(from_message, answer.events)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _show_entries(
    entries: AsyncIterator[reader.Entry], where: EventFilter, *, limit: int | None, as_json: bool
) -> None:
    count = 0
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C
        async for entry in entries:
            published = entry.read()
            if where.passes(published.event):
                _show([published], limit=None, as_json=as_json)
                count += 1
                if count == limit:
                    return


def _show(published: Iterable[Published], *, limit: int | None, as_json: bool) -> None:
    line = json_line if as_json else human_line
    for each in islice(published, limit):
        click.echo(line(each))


def _filter(
    *,
    streams: tuple[str, ...],
    types: tuple[str, ...],
    phases: tuple[str, ...],
    rules: tuple[str, ...],
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
    start_s: float | None = None,
    end_s: float | None = None,
) -> EventFilter:
    return EventFilter(
        stream_ids=frozenset(streams),
        types=frozenset(types),
        phases=frozenset(map(Phase, phases)),
        rule_ids=frozenset(rules),
        classes=frozenset(classes),
        attributes=dict(_attribute(text) for text in attributes),
        start_s=start_s,
        end_s=end_s,
    )


def _attribute(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name):
        raise click.UsageError(f"--attribute {text!r}: write NAME=VALUE")
    return name, value


def _message(where: EventFilter) -> events_pb2.EventFilter:
    return events_pb2.EventFilter(
        stream_ids=sorted(where.stream_ids),
        types=sorted(where.types),
        phases=[phase.name for phase in sorted(where.phases)],
        rule_ids=sorted(where.rule_ids),
        classes=sorted(where.classes),
        attributes=where.attributes,
    )

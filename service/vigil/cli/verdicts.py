"""`vigil verdicts`: what operators say of events, reported, listed, and exported to learn from."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc

from vigil.accuracy.verdict_export import write_export
from vigil.cli.client import TIMEOUT_S, address_option, call, connected
from vigil.cli.events import Moment
from vigil.cli.output import as_dict, columns, echo_json
from vigil.v1 import events_pb2, snapshots_pb2
from vigil.v1.events_pb2_grpc import EventServiceStub
from vigil.v1.snapshots_pb2_grpc import SnapshotServiceStub

F = TypeVar("F", bound=Callable[..., Any])
PAGE = 500
_COLOURS = {"CORRECT": "green", "WRONG": "red", "UNCLEAR": "yellow"}


def _which(command: F) -> F:
    """Adds what says which verdicts."""
    for option in reversed(
        (
            address_option,
            click.option("--stream", "streams", multiple=True, help="Only of this stream."),
            click.option("--type", "types", multiple=True, help="Only this type: zone.enter."),
            click.option("--since", "start_s", type=Moment(), help="Reported from then on."),
            click.option("--until", "end_s", type=Moment(), help="Reported before then."),
        )
    ):
        command = option(command)
    return command


@click.group(epilog="Example: vigil verdicts list --stream gate --since 7d")
def verdicts() -> None:
    """Judge events, and see how right a camera's rules have been."""


@verdicts.command(epilog='Example: vigil verdicts report 91d2… wrong --note "a shadow"')
@click.argument("episode_id")
@click.argument("value", type=click.Choice(["correct", "wrong", "unclear"]))
@click.option("--note", default="", help="Why, for those who read it later.")
@address_option
def report(episode_id: str, value: str, note: str, address: str) -> None:
    """Say whether an event is true; a second verdict takes the first one's place."""
    verdict = events_pb2.Verdict(episode_id=episode_id, value=value.upper(), note=note)
    with connected(address) as channel:
        method = EventServiceStub(channel).ReportVerdict
        answer = call(method, events_pb2.ReportVerdictRequest(verdict=verdict))
    click.echo("  ".join(_line(answer.verdict)).rstrip())


@verdicts.command("list", epilog="Example: vigil verdicts list --type zone.enter --json")
@_which
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_(
    address: str,
    streams: tuple[str, ...],
    types: tuple[str, ...],
    start_s: float | None,
    end_s: float | None,
    as_json: bool,
) -> None:
    """Show verdicts, newest first."""
    found = _found(address, _request(streams, types, start_s, end_s))
    if as_json:
        echo_json({"verdicts": [as_dict(verdict) for verdict in found]})
        return
    headers = ("REPORTED", "STREAM", "EVENT", "VERDICT", "BY", "EPISODE", "NOTE")
    click.echo(columns(headers, (_line(verdict) for verdict in found)))


@verdicts.command(epilog="Example: vigil verdicts export --output judged --since 30d")
@_which
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A folder that is made, or empty.",
)
def export(
    address: str,
    streams: tuple[str, ...],
    types: tuple[str, ...],
    start_s: float | None,
    end_s: float | None,
    output: Path,
) -> None:
    """Write verdicts as a table, and as labelled pictures where their events have pictures."""
    found = list(_found(address, _request(streams, types, start_s, end_s)))
    with connected(address) as channel:
        stub = SnapshotServiceStub(channel)
        pictures = write_export(output, found, picture_of=partial(_picture, stub))
    values = Counter(events_pb2.Verdict.Value.Name(verdict.value).lower() for verdict in found)
    counts = ", ".join(f"{count} {value}" for value, count in values.most_common()) or "none"
    click.echo(f"{len(found)} verdicts ({counts}), {pictures} with a picture: {output}", err=True)


def _picture(stub: SnapshotServiceStub, verdict: events_pb2.Verdict) -> bytes | None:
    """The JPEG of the event that a verdict is about; None where there is none, or no longer."""
    request = snapshots_pb2.GetEventSnapshotRequest(episode_id=verdict.episode_id)
    try:
        return bytes(stub.GetEventSnapshot(request, timeout=TIMEOUT_S).jpeg)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def _request(
    streams: tuple[str, ...], types: tuple[str, ...], start_s: float | None, end_s: float | None
) -> events_pb2.ListVerdictsRequest:
    request = events_pb2.ListVerdictsRequest(stream_ids=streams, event_types=types, page_size=PAGE)
    if start_s is not None:
        request.start_time.FromMicroseconds(round(start_s * 1e6))
    if end_s is not None:
        request.end_time.FromMicroseconds(round(end_s * 1e6))
    return request


def _found(address: str, request: events_pb2.ListVerdictsRequest) -> Iterator[events_pb2.Verdict]:
    with connected(address) as channel:
        stub = EventServiceStub(channel)
        while True:
            answer = call(stub.ListVerdicts, request)
            yield from answer.verdicts
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


def _line(verdict: events_pb2.Verdict) -> tuple[str, ...]:
    value = events_pb2.Verdict.Value.Name(verdict.value)
    when = verdict.reported_at.ToDatetime(UTC).astimezone()
    return (
        datetime.strftime(when, "%Y-%m-%d %H:%M:%S"),
        verdict.stream_id,
        verdict.event_type,
        click.style(value.lower(), fg=_COLOURS[value]),
        verdict.operator,
        verdict.episode_id,
        verdict.note,
    )

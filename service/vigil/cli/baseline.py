"""`vigil stream baseline`: what a rule with a learnt limit holds for usual, hour by hour of the week."""

from collections.abc import Iterator

import click

from vigil.cli.client import address_option, call, connected
from vigil.cli.output import as_dict, columns, echo_json
from vigil.v1 import streams_pb2
from vigil.v1.streams_pb2_grpc import StreamServiceStub

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HEADERS = ("HOUR, UTC", "USUAL", "SPREAD", "LIMIT", "VALUES")


@click.command(epilog="Example: vigil stream baseline gate hall --edge above")
@click.argument("stream_id")
@click.argument("rule_id")
@click.option("--edge", type=click.Choice(["above", "below"]), help="Which limit (the learnt one).")
@address_option
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def baseline(stream_id: str, rule_id: str, edge: str | None, address: str, as_json: bool) -> None:
    """Show what the rule RULE_ID has learnt to be usual, and the limits that follow."""
    request = streams_pb2.GetBaselineRequest(stream_id=stream_id, rule_id=rule_id, edge=edge or "")
    with connected(address) as channel:
        answer = call(StreamServiceStub(channel).GetBaseline, request)
    if as_json:
        echo_json(as_dict(answer))
        return
    click.echo(f"{rule_id} {answer.edge}: {_state(answer)}")
    if rows := list(_rows(answer)):
        click.echo(columns(_HEADERS, rows))


def _state(answer: streams_pb2.GetBaselineResponse) -> str:
    if answer.warm:
        limits = sum(hour.HasField("limit") for hour in answer.hours)
        return f"warm, {limits} of {len(answer.hours)} hours have a limit"
    if not answer.HasField("warm_at"):
        return "nothing learnt yet; the first value comes after five minutes"
    return f"warming up, no events before {answer.warm_at.ToDatetime():%Y-%m-%d %H:%M} UTC"


def _rows(answer: streams_pb2.GetBaselineResponse) -> Iterator[tuple[str, ...]]:
    """The hours of which something is known."""
    for hour in answer.hours:
        if hour.samples:
            day, of_day = divmod(hour.hour_of_week, 24)
            yield (
                f"{DAYS[day]} {of_day:02d}:00",
                f"{hour.usual:.1f}",
                f"{hour.spread:.2f}",
                f"{hour.limit:.1f}" if hour.HasField("limit") else "–",
                str(hour.samples),
            )

"""`vigil outbox`: events that wait for Redis, read from the state directory itself, service or not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from vigil.cli.event_line import human_line, json_line
from vigil.cli.output import age, echo_json
from vigil.cli.state_options import state_directory, state_options
from vigil.errors import VigilError
from vigil.events import table
from vigil.events.schema import decode
from vigil.store.database import FILE_NAME, Database


class NoState(VigilError):
    """There is no state file where one should be."""

    code = "NOT_FOUND"


@contextmanager
def _opened(state_path: Path | None, config_path: Path | None) -> Iterator[Database]:
    """The state file beside the service that may be using it. Raises NoState."""
    directory = state_directory(state_path, config_path)
    if not (directory / FILE_NAME).is_file():
        raise NoState(f"{directory} holds no state of vigil; name its directory with --state")
    with Database(directory, exclusive=False) as database:
        yield database


@click.group(epilog="Example: vigil outbox show")
def outbox() -> None:
    """Look at the events that wait for Redis, send some again, or give some up.

    Works on the state directory, whether the service runs or not.
    """


@outbox.command(epilog="Example: vigil outbox show --state /var/lib/vigil --limit 20")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=0))
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@state_options
def show(limit: int, as_json: bool, state_path: Path | None, config_path: Path | None) -> None:
    """How many events wait, since when, and the first of them."""
    with _opened(state_path, config_path) as database:
        waiting = database.read_now(table.backlog)
        _, first = database.read_now(lambda connection: table.unsent(connection, limit))
    if as_json:
        echo_json(
            {
                "waiting": waiting.events,
                "oldest_timestamp_seconds": waiting.oldest_s,
                "newest_cursor": waiting.position.newest,
                "sent_cursor": waiting.position.sent,
                "oldest_kept_cursor": waiting.position.floor,
            }
        )
        for event in first:
            click.echo(json_line(decode(event.body)), err=True)
        return
    if waiting.oldest_s is None:
        click.echo(f"no event waits for Redis; {waiting.position.sent} were sent or given up")
        return
    click.echo(f"{waiting.events} events wait for Redis, the first for {age(waiting.oldest_s)}:")
    for event in first:
        click.echo(f"{event.cursor:>10}  {human_line(decode(event.body))}")
    if waiting.events > len(first):
        click.echo(f"{'…':>10}")


@outbox.command(epilog="Example: vigil outbox retry --after 1200")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    required=True,
    help="The last cursor that is not sent again; 0: send all that is kept.",
)
@state_options
def retry(after: int, state_path: Path | None, config_path: Path | None) -> None:
    """Have events published once more that Redis acknowledged, but lost.

    Consumers see the same ids again. A running service begins within its next idle check, 5 s.
    """
    with _opened(state_path, config_path) as database:
        asyncio.run(database.write(lambda connection: table.send_again(connection, after=after)))
        waiting = database.read_now(table.backlog)
    click.echo(f"{waiting.events} events wait for Redis now")


@outbox.command(epilog="Example: vigil outbox drop --through 1200")
@click.option(
    "--through", type=click.IntRange(min=1), help="Up to and with this cursor; default: all."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_options
def drop(through: int | None, yes: bool, state_path: Path | None, config_path: Path | None) -> None:
    """Give up events that wait: they are never published, but stay in the event log.

    A running service that is connected to Redis may have sent some of them already.
    """
    with _opened(state_path, config_path) as database:
        before = database.read_now(table.backlog)
        last = before.position.newest if through is None else through
        if before.events and not yes:
            click.confirm(f"{before.events} events wait for Redis; give them up?", abort=True)
        asyncio.run(database.write(lambda connection: table.give_up(connection, through=last)))
        after = database.read_now(table.backlog)
    click.echo(f"{before.events - after.events} events were given up, {after.events} wait")

"""The command `vigil`: a table of commands, each loaded only when it is used.

`vigil --help` stays fast that way: no command's module is imported to be listed, and those import grpc,
cv2 or torch.
"""

import importlib
import os
from typing import Any, NamedTuple

import click

from vigil import __version__
from vigil.errors import VigilError

__all__ = ["main"]


class Entry(NamedTuple):
    """Where a command is, and its line in the list."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "serve": Entry("vigil.cli.serve", "serve", "Run the service."),
    "demo": Entry("vigil.cli.demo", "demo", "See it work: everything embedded, one command."),
    "stream": Entry("vigil.cli.stream", "stream", "Add, change, show and watch streams."),
    "events": Entry("vigil.cli.events", "events", "Follow events, or replay them."),
    "detect": Entry("vigil.cli.detect", "detect", "Analyse a picture or video offline."),
    "explain": Entry("vigil.cli.explain", "explain", "Show what in a picture a model goes by."),
    "evaluate": Entry("vigil.cli.evaluate", "evaluate", "Measure accuracy on a labelled set."),
    "bench": Entry("vigil.cli.bench", "bench", "Measure speed and density."),
    "train": Entry("vigil.cli.train", "train", "Train a model."),
    "models": Entry("vigil.cli.models", "models", "List, show and verify models."),
    "verdicts": Entry("vigil.cli.verdicts", "verdicts", "What operators say of events."),
    "token": Entry("vigil.cli.token", "token", "Who may ask: make, list, revoke tokens."),
    "doctor": Entry("vigil.cli.doctor", "doctor", "What is wrong here, and what to do about it."),
    "backup": Entry("vigil.cli.backup", "backup", "Save the state, or put it back."),
    "outbox": Entry("vigil.cli.outbox", "outbox", "Events that wait for Redis."),
}


class LazyGroup(click.Group):
    """Finds its commands in `COMMANDS`, and turns vigil's errors into one line and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. What is wrong on purpose is a message; anything else is a bug with its trace."""
        hush_grpc()
        try:
            return super().invoke(ctx)
        except VigilError as error:
            raise click.ClickException(str(error)) from error


def hush_grpc() -> None:
    """Keep gRPC's core from writing past our log; it asks the environment when it is loaded.

    It has a line for each stranger who speaks no TLS, and one for each child of another user, since its
    handlers of forks run then, though the child is another program at once.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: vigil demo video.mp4",
)
@click.version_option(__version__, prog_name="vigil")
def main() -> None:
    """Video analytics: camera streams in by gRPC, events out to Redis Streams."""

"""`vigil serve`: the service."""

import os
from pathlib import Path

import click

from vigil.config import load, to_toml


@click.command(epilog="Example: vigil serve --config /etc/vigil/vigil.toml")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration, a TOML file. Each key can be overridden: VIGIL_GRPC__ADDRESS=…",
)
@click.option("--check", is_flag=True, help="Check the configuration, print it and exit.")
def serve(config_path: Path | None, check: bool) -> None:
    """Run the service until SIGTERM or Ctrl-C; a second one ends it at once.

    Without --config every key has its default. --check prints the effective configuration, secrets
    redacted.
    """
    config = load(config_path, os.environ)
    if check:
        click.echo(to_toml(config), nl=False)
        return
    # grpc, aiohttp and SQLite are loaded only where they are needed.
    from vigil.app import serve as run_service

    raise SystemExit(run_service(config))

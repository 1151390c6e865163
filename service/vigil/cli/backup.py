"""`vigil backup`: the registry and the event log, saved while the service runs, and put back."""

import asyncio
from pathlib import Path

import click

from vigil.cli.state_options import state_directory, state_options
from vigil.store.backup import restore as put_back
from vigil.store.backup import save as save_state


@click.group(epilog="Example: vigil backup save /var/backups/vigil-monday")
def backup() -> None:
    """Save streams, events and tokens, or put them back.

    A backup holds the passwords of cameras.
    """


@backup.command(epilog="Example: vigil backup save /var/backups/vigil-monday")
@click.argument("folder", type=click.Path(path_type=Path))
@state_options
def save(folder: Path, state_path: Path | None, config_path: Path | None) -> None:
    """Copy the state to a new FOLDER, whether the service runs or not."""
    condition = save_state(state_directory(state_path, config_path), folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    click.echo(f"{condition.streams} streams and the events, {size / 1e6:.1f} MB, are in {folder}")


@backup.command(epilog="Example: vigil backup restore /var/backups/vigil-monday")
@click.argument("folder", type=click.Path(path_type=Path))
@state_options
def restore(folder: Path, state_path: Path | None, config_path: Path | None) -> None:
    """Put a backup in the state's place. The service must not run; what is there is kept beside it.

    Events that were made after the backup are not in it. Those that it has and Redis had not are sent,
    perhaps again, with the same ids. Numbers of runs and events go on a million later.
    """
    state = state_directory(state_path, config_path)
    aside = asyncio.run(put_back(folder, state))
    click.echo(
        f"{state} is as it was in {folder}" + (f"; what it held is in {aside}" if aside else "")
    )

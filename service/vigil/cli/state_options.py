"""Which state directory a command works on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vigil.config import load

F = TypeVar("F", bound=Callable[..., Any])


def state_options(command: F) -> F:
    """Adds --state and --config."""
    for option in (
        click.option(
            "--state", "state_path", type=click.Path(path_type=Path), help="The state directory."
        ),
        click.option(
            "--config",
            "config_path",
            type=click.Path(path_type=Path),
            help="The service's configuration, for its state.path.",
        ),
    ):
        command = option(command)
    return command


def state_directory(state_path: Path | None, config_path: Path | None) -> Path:
    """The one that is named, else the configuration's. Raises InvalidConfig."""
    return state_path or Path(load(config_path, os.environ).state.path)

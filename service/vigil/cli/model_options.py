"""The options of every command that measures a model: which, from where, on what."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

DETECTOR_HELP = "The model (vigil-det-n on a CPU, vigil-det-s on CUDA)."


def measured_model(
    *, required: bool = False, shown: str = DETECTOR_HELP
) -> Callable[[Command], Command]:
    """--model, --models-dir and --device, as ``model``, ``models_dir`` and ``device``."""

    def with_options(command: Command) -> Command:
        for option in reversed(
            (
                click.option(
                    "--model", required=required, default=None if required else "", help=shown
                ),
                click.option(
                    "--models-dir",
                    type=click.Path(path_type=Path, file_okay=False),
                    help="Where the models lie (those that came with vigil).",
                ),
                click.option("--device", default="cpu", show_default=True),
            )
        ):
            command = option(command)
        return command

    return with_options


detect_fps_option = click.option(
    "--detect-fps",
    type=click.FloatRange(min=0.0, min_open=True, max=60.0),
    default=5.0,
    show_default=True,
    help="Analysed a second.",
)

"""`vigil train average`: the mean of several runs' weights, to go on from."""

from pathlib import Path
from typing import Any

import click

from vigil.training.average import write_average


class Shares(click.ParamType[tuple[float, ...]]):
    """W,W,… above 0."""

    name = "w,w,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read them."""
        if isinstance(value, tuple):
            return value
        try:
            shares = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give a number for each run, 0.25,0.75")
        if not all(0 < share < float("inf") for share in shares):
            self.fail(f"{value!r}: weights are above 0; leave a run out that is to count nothing")
        return shares


@click.command(
    epilog="Example: vigil train average runs/s-8400 runs/s --weights 0.25,0.75 --run runs/s-averaged"
)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--weights", type=Shares(), help="One each; their sum does not matter [all alike].")
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the checkpoint goes; it must have none.",
)
def average(sources: tuple[Path, ...], weights: tuple[float, ...] | None, run_folder: Path) -> None:
    """Average the weights of runs (folders, checkpoints or weights) of the same net.

    What is taken is each run's moving average. Step and optimiser are the last one's, so that `vigil train
    detector --run` goes on from there; a classifier's recipe names the new run in start_from.
    """
    if len(sources) < 2:
        raise click.UsageError("name two runs or more")
    shares = weights or (1.0,) * len(sources)
    if len(shares) != len(sources):
        raise click.UsageError(f"--weights has {len(shares)} numbers for {len(sources)} runs")
    checkpoint = run_folder / "checkpoint.safetensors"
    if checkpoint.exists():
        raise click.UsageError(f"{checkpoint} is there already; name another --run")
    step = write_average(sources, shares, checkpoint)
    click.echo(f"{checkpoint}: the mean of {len(sources)}, at step {step}", err=True)

"""`vigil train family`: every net of the family and the baselines on one data set, in one table."""

from dataclasses import asdict
from pathlib import Path

import click
from msgspec.structs import replace
from rich.console import Console

from vigil.cli.output import echo_json
from vigil.cli.train_classifier import labelled, stoppable, training_bar
from vigil.training.classify.examples import read_parts
from vigil.training.classify.family import INPUT_PX, RECIPES, Pictures, baseline_rows, train_net
from vigil.training.classify.family_report import table, write_family


@click.command(
    epilog="Example: vigil train family --data ../shared/data/cifar10/cifar10_subset.npz"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="An .npz of JPEG pictures with the parts train and test, or a folder or .csv as for "
    "`vigil train classifier`.",
)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/family"),
    show_default=True,
    help="Where the nets' runs, the table and the plot lie; what is there is gone on with.",
)
@click.option("--net", "nets", multiple=True, type=click.Choice(list(RECIPES)), help="Only these.")
@click.option("--epochs", type=click.IntRange(1), help="Of every net, instead of its recipe's.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="bfloat16",
    show_default=True,
    help="bfloat16 is fast where the processor has instructions for it.",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as one JSON object on stdout.")
def family(
    data: Path,
    folder: Path,
    nets: tuple[str, ...],
    epochs: int | None,
    seed: int,
    precision: str,
    as_json: bool,
) -> None:
    """Train LeNet, AlexNet, VGG, GoogLeNet and ResNet-9 at 32×32, and compare them with the baselines.

    A twentieth of what is learnt from chooses the epochs and fits the temperatures; the test part is judged
    once a net. Ctrl-C or SIGTERM saves and stops, the same command resumes.
    """
    console = Console(stderr=True)
    parts = read_parts(data, val_share=0.05, test_share=0.2, seed=seed)
    assert parts.test is not None
    pictures = Pictures(
        *(labelled(p, INPUT_PX) for p in (parts.training, parts.validation, parts.test))
    )
    rows = baseline_rows(pictures, folder)
    with stoppable() as stopping:
        for name in nets or RECIPES:
            recipe = RECIPES[name] if epochs is None else replace(RECIPES[name], epochs=epochs)
            with training_bar(console, name) as show:
                row = train_net(
                    name,
                    replace(recipe, seed=seed),
                    parts.training.classes,
                    pictures,
                    folder,
                    precision=precision,
                    stopping=stopping,
                    show=show,
                )
            if row is None:
                console.print("stopped; the same command goes on from there")
                return
            rows.append(row)
    paths = write_family(folder, rows)
    if as_json:
        echo_json({"rows": [asdict(row) for row in rows]})
    else:
        click.echo(table(sorted(rows, key=lambda row: row.accuracy)))
    for path in paths:
        click.echo(path, err=True)

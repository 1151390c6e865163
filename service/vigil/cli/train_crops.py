"""`vigil train crops`: a labelled set's boxes as pictures for a classifier."""

from pathlib import Path

import click

from vigil.training.classify.crops import TABLE, CropPolicy, cut_crops
from vigil.vision.crop import MARGIN


@click.command(
    epilog="Example: vigil train crops --data ../shared/data/train --out crops --class car --class bus"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A labelled set: images/, labels/, manifest.csv.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The crops' folder; crops of another set that are there stay.",
)
@click.option("--class", "classes", multiple=True, required=True, help="A class; repeatable.")
@click.option("--margin", type=click.FloatRange(0, 1), default=MARGIN, show_default=True)
@click.option(
    "--least-px", type=click.IntRange(1), default=24, show_default=True, help="Of a box's side."
)
@click.option(
    "--most", type=click.IntRange(0), default=0, help="Crops a class, drawn by lot; 0: all."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def crops(
    data: Path,
    out: Path,
    classes: tuple[str, ...],
    margin: float,
    least_px: int,
    most: int,
    seed: int,
) -> None:
    """Cut the boxes that people labelled into a folder for `vigil train classifier --data OUT/crops.csv`.

    A crop's group is its picture: a split never has one picture's crops on both sides.
    """
    policy = CropPolicy(classes, margin=margin, least_px=least_px, most_a_class=most)
    counts = cut_crops(data, out, policy, seed=seed)
    for name in classes:
        click.echo(f"{name}: {counts[name]}", err=True)
    click.echo(out / TABLE)

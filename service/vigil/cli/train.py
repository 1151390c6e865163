"""`vigil train`: train a model, resumably, and write it out."""

import os
import signal
import threading
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.accuracy.detector import SCORE_FLOOR, operating_thresholds, read_image
from vigil.accuracy.finder import LetterboxFinder
from vigil.cli.train_average import average
from vigil.cli.train_classifier import classifier
from vigil.cli.train_crops import crops
from vigil.cli.train_ensemble import ensemble
from vigil.cli.train_family import family
from vigil.training.batches import Source
from vigil.training.export import ModelFacts, averaged_net, write_model
from vigil.training.labels import read_truth
from vigil.training.loop import RunPlace, Settings, Trainer, open_source, use_one_thread_each
from vigil.training.recipe import Recipe, load_recipe
from vigil.training.watch import Progress as RunProgress
from vigil.vision.detector import Detector
from vigil.vision.manifest import load_manifest
from vigil.vision.weights import load_net


@click.group(epilog="Example: vigil train detector --recipe models/vigil-det-n/recipe.toml")
def train() -> None:
    """Train a model."""


train.add_command(average)
train.add_command(classifier)
train.add_command(ensemble)
train.add_command(family)
train.add_command(crops)


@train.command(
    epilog="Example: vigil train detector --recipe models/vigil-det-n/recipe.toml --run runs/n"
)
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="What to do: net, data, stages (TOML).",
)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the run keeps its checkpoint and log; an earlier checkpoint there is resumed.",
)
@click.option(
    "--cache",
    "cache_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".cache/pictures"),
    show_default=True,
    help="Where decoded pictures lie.",
)
@click.option("--rights", default="", help="Only pictures with these rights: stated,flickr.")
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="bfloat16",
    show_default=True,
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Threads of one core each; with more than one a run is not repeatable bit by bit.",
)
@click.option("--steps", type=click.IntRange(1), help="Stop after this many steps in all.")
@click.option(
    "--pid-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the process id here, for who wants to pause it.",
)
def detector(
    recipe_path: Path,
    run_folder: Path,
    cache_folder: Path,
    rights: str,
    device: str,
    precision: str,
    workers: int,
    steps: int | None,
    pid_file: Path | None,
) -> None:
    """Train a detector by a recipe; SIGTERM or Ctrl-C saves and stops, the same command resumes."""
    recipe = _with_rights(load_recipe(recipe_path), rights)
    use_one_thread_each()
    place = RunPlace(run_folder, cache_folder)
    trainer = Trainer(recipe, place, Settings(device=device, precision=precision, workers=workers))
    console = Console(stderr=True)
    resumed = trainer.resume()
    console.print(f"{'resumed at' if resumed else 'starting at'} step {trainer.step}")
    source = open_source(recipe, place)
    if pid_file is not None:
        pid_file.write_text(str(os.getpid()))
    _run(trainer, source, console, steps)
    console.print(f"stopped at step {trainer.step}; checkpoint: {place.checkpoint}")


@train.command(
    epilog="Example: vigil train export --run runs/n --recipe recipe.toml --name vigil-det-n"
)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
)
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
)
@click.option("--name", required=True, help="The model's name.")
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
)
@click.option("--height", type=click.IntRange(32), help="Of the input (as the recipe tests at).")
@click.option("--width", type=click.IntRange(32), help="Of the input (as the recipe tests at).")
def export(
    run_folder: Path,
    recipe_path: Path,
    name: str,
    models_dir: Path,
    height: int | None,
    width: int | None,
) -> None:
    """Write a run's averaged weights as a model; thresholds of an existing one are kept."""
    recipe = load_recipe(recipe_path)
    input_hw = (height or recipe.test_hw[0], width or recipe.test_hw[1])
    facts = ModelFacts(name=name, architecture=recipe.architecture, input_hw=input_hw)
    if (models_dir / name / "model.toml").is_file():
        facts = facts.keeping(load_manifest(name, models_dir=models_dir))
    net = averaged_net(run_folder / "checkpoint.safetensors", recipe.architecture)
    manifest = write_model(net, facts, models_dir)
    click.echo(f"{manifest.weights_path}: {manifest.weights_path.stat().st_size} bytes")


@train.command(
    epilog="Example: vigil train thresholds --name vigil-det-n --data ../shared/data/val"
)
@click.option("--name", required=True, help="The model's name.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The labelled set to choose on.",
)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
)
def thresholds(name: str, data: Path, models_dir: Path) -> None:
    """Choose a model's operating thresholds on a labelled set and write them into its manifest."""
    manifest = load_manifest(name, models_dir=models_dir)
    net = load_net(manifest)
    judge = Detector(manifest, score_floor=SCORE_FLOOR, net=net, every_type=True)
    finder = LetterboxFinder(judge)
    truths = read_truth(data)
    found = [finder.find(read_image(truth.path)) for truth in truths]
    chosen = operating_thresholds(truths, found)
    facts = ModelFacts(
        name=name, architecture=manifest.architecture, input_hw=manifest.input_hw
    ).keeping(manifest)
    write_model(net, facts.with_thresholds(chosen), models_dir)
    for label, threshold in zip(manifest.classes, chosen, strict=True):
        click.echo(f"{label}: {threshold:.3f}")


@train.command(epilog="Example: vigil train report --run runs/n --name vigil-det-n --data val")
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
)
@click.option("--name", required=True, help="The model's name.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The labelled set to judge on.",
)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
)
def report(run_folder: Path, name: str, data: Path, models_dir: Path) -> None:
    """Plots of a run: loss, precision and recall, pictures with boxes, the worst cases."""
    from vigil.accuracy.training_report import write_report  # matplotlib takes half a second

    manifest = load_manifest(name, models_dir=models_dir)
    paths = write_report(
        run_folder / "report",
        log=run_folder / "log.jsonl",
        finder=LetterboxFinder(Detector(manifest, score_floor=SCORE_FLOOR, every_type=True)),
        truths=read_truth(data),
        thresholds=manifest.score_threshold,
    )
    for path in paths:
        click.echo(path)


def _with_rights(recipe: Recipe, rights: str) -> Recipe:
    if not rights:
        return recipe
    chosen = tuple(part.strip() for part in rights.split(",") if part.strip())
    return recipe.with_rights(chosen)


def _run(trainer: Trainer, source: Source, console: Console, steps: int | None) -> None:
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    total = trainer.recipe.total_steps if steps is None else steps
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("training", total=total, completed=trainer.step)

            def show(now: RunProgress) -> None:
                text = f"{now.stage}: loss {now.loss:.2f}, {now.images_per_s:.0f} pictures/s"
                bar.update(task, completed=now.step, description=text)

            trainer.run(source, stopping=stopping.is_set, show=show, last_step=steps)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

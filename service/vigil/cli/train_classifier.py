"""`vigil train classifier`: from labelled pictures to a model, resumably."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.cli.output import echo_json
from vigil.training.classify.examples import (
    ExampleSet,
    read_calibration,
    read_parts,
    read_pixels,
)
from vigil.training.classify.export import ClassifierFacts
from vigil.training.classify.finish import finish
from vigil.training.classify.initialise import Initialisation
from vigil.training.classify.loop import ClassifierTrainer, Labelled
from vigil.training.classify.recipe import (
    NO_AUGMENTATION,
    Augmentation,
    ClassifierRecipe,
    OptimiserName,
    ScheduleName,
    load_classifier_recipe,
)
from vigil.training.classify.report import summary
from vigil.vision.nets.classifier import FAMILIES


@click.command(
    epilog="Example: vigil train classifier --data crops --arch cropnet --name vehicle-type"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="A folder with a folder for each class; a .csv with the columns file, class and, at will, group; "
    "or an .npz of JPEG pictures, whose part 'test' is judged at the very end.",
)
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The net and its training in a TOML file, in place of the flags that say the same.",
)
@click.option("--arch", type=click.Choice(list(FAMILIES)), default="cropnet", show_default=True)
@click.option("--name", help="The model's name (the net's).")
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where checkpoint, log and report lie (runs/NAME); an earlier run there is resumed.",
)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
)
@click.option("--group", default="", help="Regular expression: its parentheses are a file's group.")
@click.option("--val-share", type=click.FloatRange(0.01, 0.9), default=0.2, show_default=True)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    help="Groups that are judged once, at the very end.",
)
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path, exists=True),
    help="Pictures of another place, like --data: by a half of their groups probabilities are calibrated, "
    "the other half is judged once, at the very end.",
)
@click.option(
    "--input", "input_px", type=click.IntRange(16, 512), help="Pixels a side (the net's)."
)
@click.option("--epochs", type=click.IntRange(1), default=30, show_default=True)
@click.option("--batch", type=click.IntRange(2), default=128, show_default=True)
@click.option(
    "--optimiser", type=click.Choice(get_args(OptimiserName)), default="nesterov", show_default=True
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=0.05, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(0), default=5e-4, show_default=True)
@click.option(
    "--schedule", type=click.Choice(get_args(ScheduleName)), default="cosine", show_default=True
)
@click.option("--warmup", type=click.FloatRange(0), default=1.0, show_default=True, help="Epochs.")
@click.option(
    "--init", type=click.Choice(get_args(Initialisation)), default="he", show_default=True
)
@click.option(
    "--from",
    "start_from",
    type=click.Path(path_type=Path, exists=True),
    help="Begin with these weights where their layers fit: a folder of models/ or runs/, or a file of it.",
)
@click.option(
    "--freeze", multiple=True, help="A part that keeps them, such as stages.0; repeatable."
)
@click.option("--dropout", type=click.FloatRange(0, 0.95), help="The paper's, if not given.")
@click.option("--smoothing", type=click.FloatRange(0, 0.5), default=0.0, show_default=True)
@click.option("--balance", is_flag=True, help="Rare classes weigh as much as common ones.")
@click.option(
    "--fit-biases",
    is_flag=True,
    help="At the end, fit a bias of each class with the temperature, as if all were alike likely.",
)
@click.option("--augment/--no-augment", default=True, show_default=True)
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirrored pictures, too.")
@click.option(
    "--finish",
    "as_it_is",
    is_flag=True,
    help="Learn no more: the model of the run's best epoch so far.",
)
@click.option("--baselines", is_flag=True, help="Compare with neighbours, SVM and regression.")
@click.option("--patience", type=click.IntRange(0), default=0, help="Epochs without a better one.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object on stdout.")
@click.pass_context
def classifier(
    context: click.Context,
    /,
    data: Path,
    recipe_path: Path | None,
    arch: str,
    name: str | None,
    run_folder: Path | None,
    models_dir: Path,
    group: str,
    val_share: float,
    test_share: float,
    calibrate: Path | None,
    input_px: int | None,
    device: str,
    precision: str,
    as_json: bool,
    baselines: bool,
    as_it_is: bool,
    **flags: Any,
) -> None:
    """Train a classifier of crops; write its model, and a report beside the run."""
    console = Console(stderr=True)
    if recipe_path is not None:
        _refuse_flags(context, ("arch", "input_px", *flags))
        recipe = load_classifier_recipe(recipe_path)
    else:
        recipe = _recipe(arch, input_px or FAMILIES[arch].input_px, **flags)
    model = name or recipe.architecture
    parts = read_parts(
        data, group_pattern=group, val_share=val_share, test_share=test_share, seed=recipe.seed
    )
    training, validation, calibration, test = parts.training, parts.validation, None, parts.test
    if calibrate is not None:
        if test is not None:
            raise click.UsageError(
                "--calibrate brings its own pictures to judge: leave the others out"
            )
        calibration, test = read_calibration(calibrate, training.classes, group_pattern=group)
    folder = run_folder or Path("runs") / model
    trainer = ClassifierTrainer(
        recipe, training.classes, folder, device=device, precision=precision
    )
    resumed = trainer.resume()
    if as_it_is and not trainer.history:
        raise click.UsageError(f"--finish needs a run that has ended an epoch; {folder} holds none")
    if resumed:
        console.print(f"resumed at step {trainer.step}")
    console.print(
        f"{len(training.examples)} pictures to learn from, {len(validation.examples)} to validate"
    )
    learnt = labelled(training, recipe.input_px)
    held_out = labelled(validation, recipe.input_px)
    if not as_it_is:
        with stoppable() as stopping, training_bar(console, "training") as show:
            finished = trainer.run(learnt, held_out, stopping=stopping, show=show)
        if not finished:
            console.print(f"stopped at step {trainer.step}; the same command goes on from there")
            return
    facts = ClassifierFacts(
        name=model,
        architecture=recipe.architecture,
        classes=training.classes,
        input_px=recipe.input_px,
        training_data=f"{data.name}: {len(training.examples)} pictures",
    )
    described, manifest = finish(
        trainer,
        held_out,
        facts,
        models_dir,
        calibration=_labelled_if(calibration, recipe.input_px),
        test=_labelled_if(test, recipe.input_px),
        baselines_from=learnt if baselines else None,
    )
    if as_json:
        echo_json({"model": model, "weights": str(manifest.weights_path), **described})
        return
    for line in summary(training.classes, described):
        click.echo(line, err=True)
    click.echo(f"report: {folder / 'report.json'}", err=True)
    click.echo(f"{manifest.weights_path}: {manifest.weights_path.stat().st_size} bytes")


def _refuse_flags(context: click.Context, names: Sequence[str]) -> None:
    """Raises UsageError where one of these was given: a recipe says it already."""
    for flag in context.command.params:
        given = context.get_parameter_source(flag.name or "") is not ParameterSource.DEFAULT
        if flag.name in names and given:
            raise click.UsageError(
                f"--recipe says what {flag.opts[0]} would; change the file, or leave it out"
            )


def _recipe(arch: str, input_px: int, **flags: Any) -> ClassifierRecipe:
    varied = Augmentation() if flags["flip"] else Augmentation(flip_chance=0.0)
    return ClassifierRecipe(
        architecture=arch,
        input_px=input_px,
        epochs=flags["epochs"],
        batch=flags["batch"],
        seed=flags["seed"],
        optimiser=cast(OptimiserName, flags["optimiser"]),
        learning_rate=flags["rate"],
        weight_decay=flags["weight_decay"],
        schedule=cast(ScheduleName, flags["schedule"]),
        warmup_epochs=flags["warmup"],
        initialisation=cast(Initialisation, flags["init"]),
        start_from=str(flags["start_from"] or ""),
        frozen=tuple(flags["freeze"]),
        dropout=flags["dropout"],
        label_smoothing=flags["smoothing"],
        balance=flags["balance"],
        fit_biases=flags["fit_biases"],
        augmentation=varied if flags["augment"] else NO_AUGMENTATION,
        patience_epochs=flags["patience"],
    )


def labelled(examples: ExampleSet, input_px: int) -> Labelled:
    """The pictures of a part as pixels, with their labels."""
    return Labelled(read_pixels(examples, input_px=input_px), examples.labels)


def _labelled_if(examples: ExampleSet | None, input_px: int) -> Labelled | None:
    return None if examples is None else labelled(examples, input_px)


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Gives what says whether Ctrl-C or SIGTERM asked for an orderly end."""
    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: asked.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def training_bar(console: Console, what: str) -> Iterator[Callable[[int, int, float], None]]:
    """A bar with time left; gives what `ClassifierTrainer.run` shows its progress with."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)

        def show(step: int, total: int, loss: float) -> None:
            bar.update(task, completed=step, total=total, description=f"{what}: loss {loss:.2f}")

        yield show

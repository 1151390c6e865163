"""`vigil train ensemble`: several trained classifiers as one model."""

from pathlib import Path

import click

from vigil.accuracy.classifier import read_crops
from vigil.cli.output import echo_json
from vigil.training.classify.ensemble import architecture, joined
from vigil.training.classify.export import ClassifierFacts, write_classifier
from vigil.training.classify.judge import fit_temperature, judge
from vigil.training.classify.loop import logits_of
from vigil.vision.classifier import load_classifier
from vigil.vision.manifest import expect_classifier, load_manifest


@click.command(
    epilog="Example: vigil train ensemble --member type-1 --member type-2 --data crops/val --name type-both"
)
@click.option("--member", "names", multiple=True, required=True, help="A classifier; repeatable.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Pictures that no member learnt from: they fit the temperature.",
)
@click.option("--name", required=True, help="The new model's name.")
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def ensemble(
    names: tuple[str, ...], data: Path, name: str, models_dir: Path, as_json: bool
) -> None:
    """Join classifiers into one that answers with the mean of their probabilities.

    It costs what its members cost together, and is served like any other.
    """
    if len(names) < 2:
        raise click.UsageError("give --member twice or more")
    manifests = [expect_classifier(load_manifest(each, models_dir=models_dir)) for each in names]
    net, first = joined(manifests), manifests[0]
    held = read_crops(data, classes=first.classes, side_px=first.input_height_px)
    accuracies = {
        manifest.name: judge(logits_of(load_classifier(manifest), held.crops), held.labels).accuracy
        for manifest in manifests
    }
    logits = logits_of(net, held.crops)
    net.temperature.fill_(fit_temperature(logits, held.labels))
    judged = judge(logits, held.labels, temperature=float(net.temperature))
    facts = ClassifierFacts(
        name=name,
        architecture=architecture(manifests),
        classes=first.classes,
        input_px=first.input_height_px,
        training_data="; ".join(manifest.training_data for manifest in manifests),
        description=f"the mean of {', '.join(names)}",
    )
    write_classifier(net, facts, judged, models_dir)
    accuracies[name] = judged.accuracy
    if as_json:
        echo_json({"accuracy": {each: round(value, 4) for each, value in accuracies.items()}})
        return
    for each, value in accuracies.items():
        click.echo(f"{each}: accuracy {value:.3f} of {len(held.labels)} pictures")

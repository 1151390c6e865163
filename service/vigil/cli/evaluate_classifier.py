"""`vigil evaluate classifier`: a model's answers on labelled pictures, as they are served."""

from pathlib import Path
from typing import Any

import click

from vigil.accuracy.classifier import (
    BATCH,
    figures,
    judge_probabilities,
    probabilities,
    read_crops,
    times,
)
from vigil.cli.model_options import measured_model
from vigil.cli.output import echo_json
from vigil.training.classify.report import confusion_text
from vigil.vision.classifier import CropClassifier
from vigil.vision.detector import Precision
from vigil.vision.manifest import expect_classifier, load_manifest


@click.command(
    epilog="Example: vigil evaluate classifier --data crops/val --model vehicle-type --json"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="A folder with a folder for each class, a .csv with the columns file and class, or an .npz of JPEG "
    "pictures with a part 'test'.",
)
@measured_model(required=True, shown="The classifier.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="bfloat16",
    show_default=True,
)
@click.option(
    "--mirror", is_flag=True, help="Average each answer with that of the mirrored picture."
)
@click.option("--time/--no-time", "timed", default=True, help="Measure time a crop, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def classifier(
    data: Path,
    model: str,
    models_dir: Path | None,
    device: str,
    precision: Precision,
    mirror: bool,
    timed: bool,
    as_json: bool,
) -> None:
    """Accuracy, recalls, confusion and calibration of a classifier on labelled pictures."""
    manifest = expect_classifier(load_manifest(model, models_dir=models_dir))
    judge = CropClassifier(manifest, device=device, precision=precision)
    labelled = read_crops(data, classes=manifest.classes, side_px=manifest.input_height_px)
    chances = probabilities(judge, labelled.crops, mirrored=mirror)
    judged = judge_probabilities(chances, labelled.labels)
    result = figures(judged, chances, labelled.labels, manifest.classes)
    if timed:
        result |= times(judge, labelled.crops)
    if as_json:
        echo_json({"model": model, "number_format": precision, "device": device, **result})
    else:
        click.echo(_text(result, manifest.classes))


def _text(result: dict[str, Any], classes: tuple[str, ...]) -> str:
    right = f"accuracy {result['accuracy']:.3f}, balanced {result['balanced_accuracy']:.3f}"
    second = f"among the first two {result['top_2_accuracy']:.3f}"
    lines = [
        confusion_text(classes, result["confusion"]),
        f"{right}, {second}, of {result['pictures']} pictures",
        f"log loss {result['log_loss']:.3f}, calibration error {result['calibration_error']:.3f}",
    ]
    if "ms_per_crop" in result:
        batch_ms = result[f"ms_per_crop_batch{BATCH}"]
        lines.append(f"{result['ms_per_crop']} ms a crop, {batch_ms} ms in batches of {BATCH}")
    return "\n".join(lines)

"""`vigil models quantise`: measure what a model's 8-bit form needs to know."""

from pathlib import Path

import click
import cv2
import numpy as np

from vigil.cli.output import echo_json
from vigil.data import U8
from vigil.host.capture import IMAGE_SUFFIXES
from vigil.vision.detector import Detector, probe
from vigil.vision.letterbox import Letterbox
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.nets.quantised import can_quantise
from vigil.vision.ranges import measure_ranges, save_ranges
from vigil.vision.weights import load_net

_BATCH = 4
_SEED = 1


@click.command(
    "quantise", epilog="Example: vigil models quantise vigil-det-n --pictures train/images"
)
@click.argument("name")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A folder of pictures like those that the model will see; none that it is judged on.",
)
@click.option("--count", type=click.IntRange(min=8), default=128, show_default=True)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models lie (those that came with vigil).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def quantise_command(
    name: str, pictures: Path, count: int, models_dir: Path | None, as_json: bool
) -> None:
    """Measure the ranges of a model's activations, for its 8-bit form.

    Writes ranges.json beside the weights. From then on the engine runs the model in 8 bits where the
    processor is fastest so. `vigil evaluate detector --precision int8` says what that costs.
    """
    manifest = load_manifest(name, models_dir=models_dir)
    batches = _batches(manifest, pictures, count)
    path = save_ranges(manifest, measure_ranges(load_net(manifest), batches[1:]))
    result: dict[str, object] = {"model": name, "ranges": str(path)}
    if can_quantise():
        quantised = Detector(manifest, precision="int8")
        agreement = probe(quantised, Detector(manifest), batches[0])
        result |= {
            "mean_score_difference": round(agreement.mean_score, 5),
            "good": agreement.good("int8"),
        }
    if as_json:
        echo_json(result)
    else:
        for key, value in result.items():
            click.echo(f"{key.replace('_', ' '):<22} {value}")


def _batches(manifest: Manifest, folder: Path, count: int) -> list[U8]:
    """Letterboxed pictures of a folder, chosen at random, the same each time: (_BATCH, H, W, 3) each."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if len(paths) < 2 * _BATCH:
        raise click.ClickException(
            f"{folder} has {len(paths)} pictures; give at least {2 * _BATCH}"
        )
    chosen = np.random.default_rng(_SEED).permutation(len(paths))[: count // _BATCH * _BATCH]
    inputs = np.empty((len(chosen), *manifest.input_hw, 3), np.uint8)
    for index, out in zip(chosen, inputs, strict=True):
        picture = cv2.imread(str(paths[index]))
        if picture is None:
            raise click.ClickException(f"{paths[index]} is no picture; take it out of the folder")
        place = Letterbox.fit(picture.shape[:2], manifest.input_hw, stretch=manifest.stretch)
        place.draw(np.asarray(picture, np.uint8), out)
    return [
        inputs[first : first + _BATCH] for first in range(0, len(inputs) // _BATCH * _BATCH, _BATCH)
    ]

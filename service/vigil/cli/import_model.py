"""`vigil models import`: take in a detector that a site has licensed."""

from pathlib import Path

import click
import numpy as np

from vigil.errors import UnreadableImage
from vigil.vision.imported.layouts import LAYOUTS
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.manifest import Manifest, default_models_dir


@click.command(
    "import",
    epilog="Example: vigil models import yolox_nano.onnx --name yolox-nano --picture street.jpg",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", required=True, help="What the model is to be called.")
@click.option("--classes", default="", help="Names in the graph's order: person,car,… or a file.")
@click.option("--layout", type=click.Choice([one.name for one in LAYOUTS]), help="Its family.")
@click.option("--pixels", type=click.Choice(list(PIXELS)), help="How it wants its pixels.")
@click.option(
    "--runtime",
    type=click.Choice(["onnxruntime", "openvino"]),
    help="What runs it (ONNX Runtime for .onnx).",
)
@click.option(
    "--stretch/--letterbox",
    default=None,
    help="Whether its pictures fill the input (as its family usually has it).",
)
@click.option(
    "--height", type=click.IntRange(32), help="Of the input, where the graph leaves it open."
)
@click.option(
    "--width", type=click.IntRange(32), help="Of the input, where the graph leaves it open."
)
@click.option(
    "--priors",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="width_px,height_px of the priors of raw SSD heads.",
)
@click.option("--licence", default="not stated", show_default=True)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Print what it finds here, to see that it was understood.",
)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models lie (those that came with vigil).",
)
def import_command(
    file: Path,
    name: str,
    classes: str,
    layout: str | None,
    pixels: str | None,
    runtime: str | None,
    stretch: bool | None,
    height: int | None,
    width: int | None,
    priors: Path | None,
    licence: str,
    picture: Path | None,
    models_dir: Path | None,
) -> None:
    """Import an ONNX or OpenVINO detector; its family is recognised from the graph."""
    from vigil.vision.imported.importing import Wishes, import_model

    wishes = Wishes(
        name=name,
        classes=_names(classes),
        layout=layout or "",
        pixels=pixels or "",
        runtime=runtime or "",
        stretch=stretch,
        input_hw=(height, width) if height and width else None,
        priors=priors,
        licence=licence,
    )
    manifest = import_model(file, wishes, models_dir=models_dir or default_models_dir())
    size = f"{manifest.input_width_px}×{manifest.input_height_px}"
    click.echo(f"{name}: {manifest.architecture}, {size}, {len(manifest.classes)} classes")
    if picture is not None:
        _show(manifest, picture)


def _names(text: str) -> tuple[str, ...]:
    if text and Path(text).is_file():
        return tuple(line.strip() for line in Path(text).read_text().splitlines() if line.strip())
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _show(manifest: Manifest, picture: Path) -> None:
    import cv2  # this and torch take a second, and `vigil models list` imports this module

    from vigil.vision.letterbox import Letterbox
    from vigil.vision.opening import open_detector

    decoded = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if decoded is None:
        raise UnreadableImage(f"{picture} does not decode to a picture; check the file")
    image = np.asarray(decoded, np.uint8)
    detector = open_detector(manifest, score_floor=0.3)
    batch = np.empty((1, *detector.shape), np.uint8)
    size = (image.shape[0], image.shape[1])
    place = Letterbox.fit(size, manifest.input_hw, stretch=manifest.stretch)
    place.draw(image, batch[0])
    (found,) = detector.detect(batch)
    boxes = place.to_source_normalised(found.xyxy)
    for box, score, class_id in zip(boxes, found.score, found.class_id, strict=True):
        corners = " ".join(f"{value:.3f}" for value in box)
        click.echo(f"  {manifest.classes[class_id]} {score:.2f} at {corners}")
    click.echo(
        f"{len(found)} boxes of score 0.3 and more; none on a picture with objects means that"
    )
    click.echo("--pixels or --layout is wrong")

"""`vigil models describe`: a net's table by layer."""

from pathlib import Path

import click

from vigil.cli.output import columns, echo_json
from vigil.errors import UnknownModel
from vigil.vision.manifest import Manifest, load_manifest


@click.command("describe", epilog="Example: vigil models describe resnet18 --classes 10 --input 32")
@click.argument("name")
@click.option("--classes", type=click.IntRange(1), help="How many (1000, as in the papers).")
@click.option("--input", "input_px", type=click.IntRange(16, 2048), help="Pixels a side.")
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models lie (those that came with vigil).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def describe_command(
    name: str, classes: int | None, input_px: int | None, models_dir: Path | None, as_json: bool
) -> None:
    """Show the layers of a net (resnet50, …) or of an installed model.

    Output shapes, parameters, memory of the outputs in float32, multiply-adds and receptive field, of one
    picture.
    """
    # torch takes a second, and the other commands of the group need none of it
    from vigil.vision.describe import describe_classifier, describe_detector, knows_net
    from vigil.vision.nets.detector_net import ARCHITECTURES

    manifest = _installed(name, models_dir)
    net = manifest.architecture if manifest else name
    if not knows_net(net):
        raise UnknownModel(f"{net!r} is not a net of ours: an imported graph has no table")
    if net in ARCHITECTURES:
        hw = (input_px, input_px) if input_px else (manifest.input_hw if manifest else (320, 512))
        count = classes or (len(manifest.classes) if manifest else 6)
        described = describe_detector(net, classes=count, input_hw=hw)
    else:
        side = input_px or (manifest.input_height_px if manifest else None)
        count = classes or (len(manifest.classes) if manifest else 1000)
        described = describe_classifier(net, classes=count, input_px=side)
    totals = {
        "parameters": described.parameters,
        "memory_bytes": described.memory_bytes,
        "multiply_adds": described.multiply_adds,
    }
    if as_json:
        layers = [
            {field: getattr(layer, field) for field in type(layer).__slots__}
            for layer in described.layers
        ]
        shape = list(described.input_shape)
        echo_json({"name": name, "net": net, "input": shape, **totals, "layers": layers})
        return
    headers = ("LAYER", "KIND", "OUTPUT", "PARAMETERS", "MEMORY", "MULTIPLY-ADDS", "FIELD")
    rows = [
        (
            layer.name,
            layer.kind,
            "×".join(str(side) for side in layer.shape),
            f"{layer.parameters:,}",
            _bytes(layer.memory_bytes),
            f"{layer.multiply_adds:,}",
            "whole" if layer.field_px is None else f"{layer.field_px}",
        )
        for layer in described.layers
    ]
    click.echo(columns(headers, rows))
    click.echo(
        f"\n{net} at {'×'.join(str(side) for side in described.input_shape)}: "
        f"{described.parameters / 1e6:.2f} M parameters, "
        f"{described.multiply_adds / 1e9:.2f} G multiply-adds, "
        f"{_bytes(described.memory_bytes)} of outputs"
    )


def _installed(name: str, models_dir: Path | None) -> Manifest | None:
    from vigil.vision.describe import knows_net

    try:
        return load_manifest(name, models_dir=models_dir)
    except UnknownModel:
        if knows_net(name):
            return None
        raise


def _bytes(count: int) -> str:
    return f"{count / 2**20:.2f} MiB" if count >= 2**18 else f"{count / 1024:.1f} KiB"

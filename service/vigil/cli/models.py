"""`vigil models`: what is installed, and whether it is intact."""

from pathlib import Path
from typing import Any

import click

from vigil.cli.compile_model import compile_command
from vigil.cli.describe_model import describe_command
from vigil.cli.import_model import import_command
from vigil.cli.output import columns, echo_json
from vigil.cli.quantise_model import quantise_command
from vigil.errors import VigilError
from vigil.vision.manifest import Manifest, list_manifests, load_manifest, verify

_dir_option = click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models lie (those that came with vigil).",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group(epilog="Example: vigil models list")
def models() -> None:
    """List, show, describe, verify, import, quantise and compile models."""


models.add_command(import_command)
models.add_command(describe_command)
models.add_command(quantise_command)
models.add_command(compile_command)


@models.command("list", epilog="Example: vigil models list --json")
@_dir_option
@_json_option
def list_models(models_dir: Path | None, as_json: bool) -> None:
    """List the installed models."""
    manifests = list_manifests(models_dir=models_dir)
    if as_json:
        echo_json({"models": [_described(manifest) for manifest in manifests]})
        return
    rows = [
        (
            manifest.name,
            manifest.task,
            f"{manifest.input_width_px}x{manifest.input_height_px}",
            str(len(manifest.classes)),
            manifest.licence,
        )
        for manifest in manifests
    ]
    if rows:
        click.echo(columns(("MODEL", "TASK", "INPUT", "CLASSES", "LICENCE"), rows))
    else:
        click.echo("no models are installed", err=True)


@models.command(epilog="Example: vigil models show vigil-det-n")
@click.argument("name")
@_dir_option
@_json_option
def show(name: str, models_dir: Path | None, as_json: bool) -> None:
    """Show a model: what it finds, its thresholds, and its card."""
    manifest = load_manifest(name, models_dir=models_dir)
    if as_json:
        echo_json(_described(manifest))
        return
    for key, value in _described(manifest).items():
        if key != "classes":
            click.echo(f"{key.replace('_', ' '):<14} {value}")
    click.echo()
    rows = [
        (label, f"{threshold:.3f}")
        for label, threshold in zip(manifest.classes, manifest.score_threshold, strict=True)
    ]
    click.echo(columns(("CLASS", "THRESHOLD"), rows))
    if manifest.card_path.is_file():
        click.echo(f"\n{manifest.card_path.read_text(encoding='utf-8').rstrip()}")


@models.command("verify", epilog="Example: vigil models verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_dir_option
@_json_option
def verify_models(names: tuple[str, ...], models_dir: Path | None, as_json: bool) -> None:
    """Check that weights are those that their manifests name; without names, of all models."""
    manifests = (
        [load_manifest(name, models_dir=models_dir) for name in names]
        if names
        else list_manifests(models_dir=models_dir)
    )
    results: dict[str, str] = {}
    for manifest in manifests:
        try:
            verify(manifest)
            results[manifest.name] = "intact"
        except VigilError as error:
            results[manifest.name] = str(error)
    if as_json:
        echo_json({"models": results})
    for name, result in results.items() if not as_json else ():
        click.echo(f"{name}  {click.style(result, fg='green' if result == 'intact' else 'red')}")
    if not results:
        raise click.ClickException("no models are installed")
    if any(result != "intact" for result in results.values()):
        raise SystemExit(1)


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "task": manifest.task,
        "description": manifest.description,
        "architecture": manifest.architecture,
        "input": f"{manifest.input_width_px}x{manifest.input_height_px}",
        "licence": manifest.licence,
        "training_data": manifest.training_data,
        "weights": str(manifest.weights_path),
        "sha256": manifest.weights_sha256,
        "classes": dict(zip(manifest.classes, manifest.score_threshold, strict=True)),
    }

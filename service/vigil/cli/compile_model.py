"""`vigil models compile`: a detector's net as machine code of this processor, made ahead of time."""

import time
from pathlib import Path
from typing import Any

import click

from vigil.cli.output import echo_json
from vigil.engine.precision import candidates, probe_pictures
from vigil.vision.compiled import CompiledPrecision, load_compiled
from vigil.vision.compiling import BATCHES, CannotCompile, compile_package
from vigil.vision.detector import Detector, probe
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.native.building import build_kernels
from vigil.vision.native.library import load_kernels, native_net, native_precisions


@click.command("compile", epilog="Example: vigil models compile vigil-det-n")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(1, 64),
    multiple=True,
    default=BATCHES,
    show_default=True,
    help="A batch size to compile for, repeatable; 1 always is, and others are cut into these.",
)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models lie (those that came with vigil).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def compile_command(
    names: tuple[str, ...], batches: tuple[int, ...], models_dir: Path | None, as_json: bool
) -> None:
    """Compile detectors for this processor, this torch and these weights.

    Two forms: kernels of our own, where the processor has AVX512-VNNI or AVX512-BF16, and the net by torch.
    Wants a C++ compiler (g++, or what CXX names), 5 s for the first and about 20 s a batch size for the
    second. The engine tries what lies beside the weights at its next start, without any compiler, and takes
    the fastest form.
    """
    manifests = [load_manifest(name, models_dir=models_dir) for name in names]
    for manifest in manifests:
        if manifest.imported is not None or manifest.task != "detection":
            raise CannotCompile(
                f"{manifest.name!r} is no detector of ours; those alone are compiled"
            )
    done = {
        manifest.name: {**_native(manifest), **_compiled(manifest, batches)}
        for manifest in manifests
    }
    if as_json:
        echo_json({"models": done})
    else:
        for name, forms in done.items():
            for form, result in forms.items():
                click.echo(f"{name} {form}")
                for key, value in result.items():
                    click.echo(f"  {key.replace('_', ' '):<18} {value}")
    if not all(result["good"] for forms in done.values() for result in forms.values()):
        raise SystemExit(1)


def _native(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Nothing where our kernels do not run on this processor."""
    precisions = native_precisions(manifest)
    if not precisions:
        return {}
    began_s = time.monotonic()
    folder = build_kernels(manifest)
    took_s = time.monotonic() - began_s
    kernels = load_kernels(manifest)
    return {
        f"native {precision}": _result(
            folder,
            Detector(
                manifest, precision=precision, compiled=native_net(kernels, manifest, precision)
            ),
            took_s,
        )
        for precision in precisions
    }


def _compiled(manifest: Manifest, batches: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    precision: CompiledPrecision = "bfloat16" if "bfloat16" in candidates("cpu") else "float32"
    began_s = time.monotonic()
    folder = compile_package(manifest, precision=precision, batches=batches)
    took_s = time.monotonic() - began_s
    net, _ = load_compiled(manifest, runners=1)
    detector = Detector(manifest, precision=precision, compiled=net)
    return {f"compiled {precision}": _result(folder, detector, took_s)}


def _result(folder: Path, detector: Detector, took_s: float) -> dict[str, Any]:
    manifest = detector.manifest
    agreement = probe(detector, Detector(manifest), probe_pictures(*manifest.input_hw))
    return {
        "folder": str(folder),
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "seconds": round(took_s, 1),
        "score_difference": round(agreement.score, 4),  # to float32
        "good": agreement.good(detector.precision),
    }

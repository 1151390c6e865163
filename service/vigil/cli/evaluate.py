"""`vigil evaluate`: accuracy on labelled pictures and videos."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from vigil.accuracy.detector import SCORE_FLOOR, SetFigures, evaluate_set, read_image
from vigil.accuracy.detector_video import (
    VideoFigures,
    evaluate_motion_blobs,
    evaluate_video,
    frames,
    judged_frames,
)
from vigil.accuracy.finder import LetterboxFinder, median_ms
from vigil.accuracy.motion_blobs import MotionBlobs
from vigil.cli.evaluate_classifier import classifier
from vigil.cli.evaluate_drift import drift
from vigil.cli.evaluate_events import events
from vigil.cli.evaluate_golden import golden
from vigil.cli.evaluate_tracking import tracking
from vigil.cli.model_options import measured_model
from vigil.cli.output import columns, echo_json
from vigil.data import U8
from vigil.training.labels import CLASSES, read_truth
from vigil.vision.compiled import CompiledNet, load_compiled
from vigil.vision.detector import Detector, Precision
from vigil.vision.manifest import Manifest, default_model, load_manifest
from vigil.vision.native.library import load_kernels, native_net, native_precisions
from vigil.vision.native.net import NativeNet
from vigil.vision.opening import AnyDetector, open_detector

_BATCH = 8
_TIMED_FRAMES = 60


@click.group(epilog="Example: vigil evaluate detector --data ../shared/data/val --json")
def evaluate() -> None:
    """Measure accuracy on a labelled set."""


evaluate.add_command(tracking)
evaluate.add_command(classifier)
evaluate.add_command(events)
evaluate.add_command(golden)
evaluate.add_command(drift)


@evaluate.command(
    epilog="Example: vigil evaluate detector --video clip.mp4 --truth clip.mot.txt --json"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with images/, labels/ and manifest.csv.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A video whose people are labelled.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The video's labels (MOTChallenge).",
)
@measured_model()
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16", "int8"]),
    default="bfloat16",
    show_default=True,
)
@click.option(
    "--compiled", is_flag=True, help="What `vigil models compile` made, in its precision."
)
@click.option(
    "--native",
    is_flag=True,
    help="Our kernels, as `vigil models compile` built them, in --precision.",
)
@click.option("--time/--no-time", "timed", default=True, help="Measure time a frame, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def detector(
    data: Path | None,
    video: Path | None,
    truth: Path | None,
    model: str,
    models_dir: Path | None,
    device: str,
    precision: Precision,
    compiled: bool,
    native: bool,
    timed: bool,
    as_json: bool,
) -> None:
    """AP50 and error of a detector, by source and class of a set, or on a video."""
    if (data is None) == (video is None) or (video is None) != (truth is None):
        raise click.UsageError("give --data, or --video with --truth")
    name = model or default_model(device, models_dir=models_dir)
    manifest = load_manifest(name, models_dir=models_dir)
    if compiled or native:
        judge = _compiled(manifest, device, precision=precision if native else None)
    else:
        judge = open_detector(
            manifest, device=device, precision=precision, score_floor=SCORE_FLOOR, every_type=True
        )
    finder = LetterboxFinder(judge)
    if data is not None:
        result, table = _on_set(finder, data, _thresholds(manifest), timed=timed)
    else:
        assert video is not None
        assert truth is not None
        person = _thresholds(manifest)[CLASSES.index("person")]
        result, table = _on_video(finder, video, truth, person, timed=timed)
    if as_json:
        echo_json({"model": name, "number_format": judge.precision, "device": device, **result})
    else:
        click.echo(table)


def _compiled(manifest: Manifest, device: str, *, precision: Precision | None) -> AnyDetector:
    """On our kernels in a precision, else what torch compiled, in its own. Raises NotCompiled."""
    if device != "cpu":
        raise click.UsageError("code for this processor was asked for; leave --device out")
    net: NativeNet | CompiledNet
    if precision is None:
        net, precision = load_compiled(manifest, runners=2)  # a frame's thread, and a batch's
    elif precision in native_precisions(manifest):
        net = native_net(load_kernels(manifest), manifest, precision)
    else:
        offered = ", ".join(native_precisions(manifest)) or "none"
        raise click.UsageError(f"--native runs on this processor in --precision {offered}")
    return Detector(
        manifest, precision=precision, compiled=net, score_floor=SCORE_FLOOR, every_type=True
    )


def _thresholds(manifest: Manifest) -> tuple[float, ...]:
    """The operating thresholds of our classes; 1 where the model has no such class."""
    own = dict(zip(manifest.classes, manifest.score_threshold, strict=True))
    own.setdefault("car", own.get("vehicle", 1.0))
    return tuple(own.get(name, 1.0) for name in CLASSES)


def _on_set(
    finder: LetterboxFinder, root: Path, thresholds: tuple[float, ...], *, timed: bool
) -> tuple[dict[str, Any], str]:
    truths = read_truth(root)
    with progress_bar("pictures", len(truths)) as advance:
        figures = evaluate_set(finder, root, thresholds=thresholds, advance=advance)
    result: dict[str, Any] = {
        "sources": figures.as_json(),
        "mean_ap50": round(figures.mean_ap50(), 4),
    }
    if timed:
        images = [read_image(truth.path) for truth in truths[:: max(1, len(truths) // 40)]]
        result |= _times(finder, images)
    return result, _set_table(figures, result)


def _on_video(
    finder: LetterboxFinder, video: Path, truth: Path, threshold: float, *, timed: bool
) -> tuple[dict[str, Any], str]:
    clip = [image for _, image in judged_frames(video)]
    with progress_bar("frames", len(clip)) as advance:
        figures = evaluate_video(finder, video, truth, threshold=threshold, advance=advance)
    result: dict[str, Any] = dict(figures.as_json())
    blobs = evaluate_motion_blobs(video, truth)
    baseline: dict[str, float] = dict(blobs.as_json())
    if timed:
        result |= _times(finder, clip)
        baseline["ms_per_frame"] = _motion_ms(video)
    result["baselines"] = {MotionBlobs.name: baseline}
    return result, _video_table(finder.name, figures, blobs, result)


def _times(finder: LetterboxFinder, images: list[U8]) -> dict[str, float]:
    """Median milliseconds a frame, from uint8 picture to boxes: alone, and in batches of 8."""
    several = [images[i % len(images)] for i in range(_BATCH)]
    one_ms = median_ms(
        lambda i: finder.find(images[i % len(images)]), count=_TIMED_FRAMES, threads=1
    )
    batch_ms = median_ms(lambda _: finder.find_batch(several), count=_TIMED_FRAMES // 4, threads=2)
    return {"ms_per_frame": round(one_ms, 3), "ms_per_frame_batch8": round(batch_ms / _BATCH, 3)}


def _motion_ms(video: Path) -> float:
    blobs = MotionBlobs()
    clip = [image for _, image in frames(video)]
    return round(
        median_ms(lambda i: blobs.find(clip[i % len(clip)]), count=_TIMED_FRAMES, threads=1), 3
    )


def _set_table(figures: SetFigures, result: dict[str, Any]) -> str:
    rows = [
        (source, name, str(f.n), f"{f.ap50:.3f}", f"{f.ap50_95:.3f}", f"{f.error:.3f}",
         "" if f.error_operating is None else f"{f.error_operating:.3f}")
        for source, by_class in figures.sources.items()
        for name, f in by_class.items()
    ]  # fmt: skip
    headers = ("SOURCE", "CLASS", "N", "AP50", "AP50-95", "ERROR", "AT THRESHOLD")
    return f"{columns(headers, rows)}\nmean AP50 {result['mean_ap50']}{_time_line(result)}"


def _video_table(
    name: str, figures: VideoFigures, blobs: VideoFigures, result: dict[str, Any]
) -> str:
    rows = [
        (label, f"{f.ap50:.3f}", f"{f.error:.3f}", f"{f.precision:.3f}", f"{f.recall:.3f}",
         f"{f.threshold:.2f}")
        for label, f in ((name, figures), (MotionBlobs.name, blobs))
    ]  # fmt: skip
    headers = ("FINDER", "AP50", "ERROR", "PRECISION", "RECALL", "THRESHOLD")
    return columns(headers, rows) + _time_line(result)


def _time_line(result: dict[str, Any]) -> str:
    if "ms_per_frame" not in result:
        return ""
    return (
        f"\n{result['ms_per_frame']} ms a frame, {result['ms_per_frame_batch8']} ms in batches of 8"
    )


@contextlib.contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with time left on stderr; gives the function that moves it on."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(by: int) -> None:
            bar.advance(task, by)

        yield advance

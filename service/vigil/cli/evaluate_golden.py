"""`vigil evaluate golden`: the figures of golden clips without a service."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from vigil.accuracy.golden import by_metric, figures_of
from vigil.accuracy.golden_clips import built_in_clips, clips_in, truth_of
from vigil.cli.model_options import measured_model
from vigil.cli.offline import Found, Offline, Video
from vigil.cli.output import columns, echo_json
from vigil.data import Detections, Event, TrackState
from vigil.fleet.golden import STREAM_ID, GoldenBox, GoldenClip, GoldenFrame, PlayedClip
from vigil.logs import configure_logs
from vigil.spec import Source, StreamSpec
from vigil.vision.manifest import Manifest, default_model, load_manifest


@click.command("golden", epilog="Example: vigil evaluate golden --clips ~/golden --json")
@click.option(
    "--clips",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of labelled clips, as golden.folder (docs/accuracy.md).",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".cache/golden"),
    show_default=True,
    help="Where the built-in clips are rendered to.",
)
@measured_model()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def golden(
    clips: Path | None,
    cache: Path,
    model: str,
    models_dir: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """What a running service publishes as vigil_accuracy{source="golden"}, measured offline."""
    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    name = model or default_model(device, models_dir=models_dir)
    manifest = load_manifest(name, models_dir=models_dir)
    wanted = clips_in(clips) if clips is not None else built_in_clips(cache)
    figures = figures_of([(truth_of(clip), _play(clip, manifest, device)) for clip in wanted])
    if as_json:
        names = [clip.name for clip in wanted]
        echo_json({"model": name, "clips": names, "accuracy": by_metric(figures)})
    else:
        rows = [(f.metric, f.class_name, f"{f.value:.4f}", str(f.of)) for f in figures]
        click.echo(columns(("METRIC", "CLASS", "VALUE", "OF"), rows))


def _play(clip: GoldenClip, manifest: Manifest, device: str) -> PlayedClip:
    """A clip through detector, tracker and rules in this process."""
    spec = StreamSpec(stream_id=STREAM_ID, source=Source(uri="file:///"), rules=clip.rules)
    offline = Offline(manifest, spec, device=device)
    frames: list[GoldenFrame] = []
    events: list[Event] = []
    with (
        Video(Path(clip.video)) as video,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task(clip.name, total=clip.duration_s)
        for played in video.play(detect_fps=clip.detect_fps, convert_all=False):
            if played.due:
                gave = offline.frame(played.image, played.time_s)
                frames.append(_frame(played.index, gave, manifest.classes))
                events += gave.events
            bar.update(task, completed=played.time_s)
    events += offline.finish()
    return PlayedClip(name=clip.name, start_s=0.0, frames=tuple(frames), events=tuple(events))


def _frame(index: int, gave: Found, classes: tuple[str, ...]) -> GoldenFrame:
    confirmed = [track for track in gave.tracks if track.state is TrackState.CONFIRMED]
    return GoldenFrame(
        index=index,
        found=_boxes(gave.detections, classes),
        below=_boxes(gave.below, classes),
        tracks=tuple(
            GoldenBox(classes[track.class_id], track.score, track.xyxy, track.track_id)
            for track in confirmed
        ),
    )


def _boxes(found: Detections, classes: tuple[str, ...]) -> tuple[GoldenBox, ...]:
    rows = zip(found.xyxy.tolist(), found.score.tolist(), found.class_id.tolist(), strict=True)
    return tuple(
        GoldenBox(classes[of], score, (x1, y1, x2, y2)) for (x1, y1, x2, y2), score, of in rows
    )

"""`vigil detect`: pictures and videos, offline."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vigil.api.convert import spec_from_message
from vigil.app import model_name
from vigil.cli.detect_output import PictureWriter, VideoWriter, frame_line, picture_line
from vigil.cli.offline import Offline, UnreadableSource, Video
from vigil.cli.rule_flags import FORM, line_rule, rules_from_file, zone_rule
from vigil.config import Config, ModelConfig
from vigil.data import U8, Event, Phase, TrackState
from vigil.draw.history import describe
from vigil.errors import InvalidRequest, VigilError
from vigil.host.capture import IMAGE_SUFFIXES, decode_picture
from vigil.logs import configure_logs
from vigil.spec import CaptureBackend, StreamSpec, violations
from vigil.v1 import streams_pb2
from vigil.vision.manifest import Manifest, load_manifest


@click.command(epilog='Example: vigil detect yard.mp4 --output seen.mp4 --line "gate:0,0.5;1,0.5"')
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where to draw: a picture, an .mp4 or, for a folder, a folder.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a frame on stdout.")
@click.option("--zone", "zones", multiple=True, metavar="NAME:POINTS", help=f"A zone: {FORM}.")
@click.option("--line", "lines", multiple=True, metavar="NAME:POINTS", help="A line, likewise.")
@click.option(
    "--dwell",
    "dwell_s",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="Report objects that stay in a --zone for so long.",
)
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rules from a JSON or TOML file, as of `vigil stream add`.",
)
@click.option("--model", help="The detector [default: vigil-det-n; vigil-det-s on CUDA].")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option(
    "--detect-fps",
    type=click.FloatRange(min=0.0, max=60.0),
    default=5.0,
    show_default=True,
    help="Frames analysed a second of video; 0 analyses all.",
)
@click.option("--class", "classes", multiple=True, metavar="NAME", help="Only this class; repeat.")
@click.option(
    "--min-score",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    help="Only detections of at least this score [default: the model's own thresholds].",
)
def detect(
    source: Path,
    output: Path | None,
    as_json: bool,
    zones: Sequence[str],
    lines: Sequence[str],
    dwell_s: float,
    rules_file: Path | None,
    model: str | None,
    device: str,
    detect_fps: float,
    classes: Sequence[str],
    min_score: float,
) -> None:
    """Find, track and judge by rules what is in SOURCE: a picture, a video, or a folder of pictures.

    Draws boxes, trails, zones, lines and events into --output. Videos have tracks and events; the
    pictures of a folder are looked at one by one.
    """
    if rules_file is not None and (zones or lines):
        raise click.UsageError("give rules by --rules or by --zone and --line, not by both")
    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    name = model_name(Config(model=ModelConfig(name=model or "", device=device)))
    manifest = load_manifest(name)
    message = streams_pb2.StreamSpec(stream_id="detect", classes=classes, min_score=min_score)
    message.rules.extend(rules_from_file(rules_file) if rules_file is not None else ())
    message.rules.extend(zone_rule(text, dwell_s=dwell_s) for text in zones)
    message.rules.extend(line_rule(text) for text in lines)
    spec = _checked(message, manifest)
    job = _Job(manifest, spec, Console(stderr=True, highlight=False), as_json)
    offline = Offline(manifest, spec, device=device)
    if source.is_dir() or source.suffix.lower() in IMAGE_SUFFIXES:
        job.pictures(offline, source, output)
    else:
        job.video(offline, source, output, detect_fps=detect_fps)


def _checked(message: streams_pb2.StreamSpec, manifest: Manifest) -> StreamSpec:
    """The definition behind the flags. Raises UsageError."""
    try:
        spec = spec_from_message(message, default_backend=CaptureBackend.OPENCV)
    except VigilError as error:
        raise click.UsageError(str(error)) from error
    if wrong := violations(spec):
        raise click.UsageError(str(InvalidRequest(wrong)))
    for stage in spec.all_second_stages:
        raise click.UsageError(
            f"a rule wants the votes of {stage.classifier}; tracks are classified by the service only: "
            "leave voted out, or use `vigil stream add`"
        )
    for name in spec.classes:
        if name not in manifest.classes:
            known = ", ".join(manifest.classes)
            raise click.UsageError(f"--class {name}: {manifest.name} finds {known}")
    return spec


class _Job:
    """One call of the command: what it reads with, and where it writes."""

    def __init__(
        self, manifest: Manifest, spec: StreamSpec, console: Console, as_json: bool
    ) -> None:
        self._manifest = manifest
        self._spec = spec
        self._console = console
        self._as_json = as_json

    def pictures(self, offline: Offline, source: Path, output: Path | None) -> None:
        """A picture, or every picture of a folder."""
        paths = [source]
        if source.is_dir():
            paths = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not paths:
                raise UnreadableSource(f"{source} holds no pictures ({', '.join(IMAGE_SUFFIXES)})")
        writer = PictureWriter(output, self._manifest, self._spec, many=source.is_dir())
        seen: Counter[str] = Counter()
        with Progress(console=self._console, transient=True) as progress:
            for path in progress.track(paths, description="pictures"):
                image = decode_picture_file(path)
                found = offline.picture(image)
                seen.update(self._manifest.classes[i] for i in found.class_id.tolist())
                self._say(picture_line(path, found, self._manifest))
                writer.write(path, image, found)
        self._summary(f"{len(paths)} pictures", seen, output)

    def video(
        self, offline: Offline, source: Path, output: Path | None, *, detect_fps: float
    ) -> None:
        """Every frame of a video, drawn; the due ones analysed."""
        seen: dict[int, str] = {}
        analysed = 0
        with ExitStack() as stack:
            video = stack.enter_context(Video(source))
            writer = None
            if output is not None:
                writer = VideoWriter(output, self._manifest, self._spec, video)
                stack.enter_context(writer)
            progress = stack.enter_context(self._bar())
            task = progress.add_task("video", total=None, time_s=0.0)
            for played in video.play(detect_fps=detect_fps, convert_all=writer is not None):
                found = offline.frame(played.image, played.time_s) if played.due else None
                if found is not None:
                    analysed += 1
                    seen |= {
                        track.track_id: self._manifest.classes[track.class_id]
                        for track in found.tracks
                        if track.state is TrackState.CONFIRMED
                    }
                    self._say(frame_line(played, found, self._manifest))
                    self._tell(found.events)
                if writer is not None:
                    writer.write(played, found)
                progress.update(task, completed=played.index + 1, time_s=played.time_s)
            self._tell(offline.finish())
        if not analysed:
            raise UnreadableSource(f"{source} gave no frame; is it a video?")
        self._summary(f"{analysed} frames analysed", Counter(seen.values()), output)

    def _bar(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.completed} frames, {task.fields[time_s]:.1f} s of video"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    def _say(self, line: dict[str, object]) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.phase is Phase.NEW and event.type != "marker":
                self._console.print(f"{event.occurred_at_s:8.2f} s  {describe(event)}")

    def _summary(self, what: str, seen: Counter[str], output: Path | None) -> None:
        counts = ", ".join(f"{name} {count}" for name, count in seen.most_common()) or "nothing"
        where = f"; drawn to {output}" if output is not None else ""
        self._console.print(f"{what}: {counts}{where}")


def decode_picture_file(path: Path) -> U8:
    """Read a picture. Raises UnreadableSource."""
    image = decode_picture(np.fromfile(path, np.uint8))
    if image is None:
        raise UnreadableSource(f"{path} does not decode to a picture")
    return image

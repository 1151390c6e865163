"""`vigil evaluate tracking`: detector, tracker and a labelled video, the path of `vigil detect`."""

from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from vigil.accuracy.mot import UnreadableBoxes
from vigil.accuracy.tracking import Identified, TrackingScores, read_mot, score_tracks
from vigil.cli.model_options import detect_fps_option, measured_model
from vigil.cli.offline import Offline, Video
from vigil.cli.output import columns, echo_json
from vigil.data import Track
from vigil.logs import configure_logs
from vigil.spec import Source, StreamSpec
from vigil.vision.manifest import default_model, load_manifest

_NOBODY = Identified(number=np.zeros(0, np.int64), xyxy=np.zeros((0, 4)))


def _frame_range(ctx: click.Context, param: click.Parameter, value: str | None) -> range | None:
    """A-B to the frame numbers from A to B, both included, counted from 1."""
    if value is None:
        return None
    first, _, last = value.partition("-")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise click.BadParameter(f"{value!r} is no range of frames; write 1-198, say")
    return range(int(first), int(last) + 1)


@click.command(
    "tracking",
    epilog="Example: vigil evaluate tracking --video clip.mp4 --truth clip.mot.txt --json",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A video whose people are labelled.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Its labels (MOTChallenge).",
)
@click.option(
    "--frames",
    metavar="A-B",
    callback=_frame_range,
    help="Judge only these frames; the whole clip is played.",
)
@detect_fps_option
@measured_model()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def tracking(
    video: Path,
    truth: Path,
    frames: range | None,
    detect_fps: float,
    model: str,
    models_dir: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """MOTA, IDF1 and HOTA of people on a labelled video, from pixels."""
    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    name = model or default_model(device, models_dir=models_dir)
    spec = StreamSpec(stream_id="evaluation", source=Source(uri="file:///"), classes=("person",))
    offline = Offline(load_manifest(name, models_dir=models_dir), spec, device=device)
    scores = _judge(offline, video, read_mot(truth), detect_fps=detect_fps, judged=frames)
    if as_json:
        figures = {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in scores.as_json().items()
        }
        echo_json({"model": name, "detect_fps": detect_fps, **figures})
    else:
        rows = [(key.replace("_", " "), f"{value:.4g}") for key, value in scores.as_json().items()]
        click.echo(columns(("FIGURE", "VALUE"), rows))


def _judge(
    offline: Offline,
    video: Path,
    truth: dict[int, Identified],
    *,
    detect_fps: float,
    judged: range | None,
) -> TrackingScores:
    """Play the clip and compare the analysed frames, or those of them in ``judged``."""
    happened, claimed = [], []
    with Video(video) as clip, Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=max(truth, default=1))
        for played in clip.play(detect_fps=detect_fps, convert_all=False):
            number = played.index + 1
            bar.update(task, completed=number)
            if not played.due:
                continue
            tracks = offline.frame(played.image, played.time_s).tracks
            if judged is None or number in judged:
                happened.append(truth.get(number, _NOBODY))
                claimed.append(_in_pixels(tracks, clip.size_px))
    if not any(len(frame.number) for frame in happened):
        raise UnreadableBoxes(
            "no labelled frame is among those that were analysed; check --truth, --frames"
        )
    return score_tracks(happened, claimed)


def _in_pixels(tracks: tuple[Track, ...], size_px: tuple[int, int]) -> Identified:
    shown = Identified.of_tracks(tracks)
    return Identified(number=shown.number, xyxy=shown.xyxy * np.array([*size_px, *size_px]))

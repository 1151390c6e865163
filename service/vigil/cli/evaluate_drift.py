"""`vigil evaluate drift`: how often drift is told of cameras that did not change."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vigil.accuracy.drift_level import LEAST_TRACKS, false_alarms
from vigil.accuracy.interval import Share
from vigil.cli.model_options import detect_fps_option, measured_model
from vigil.cli.offline import Offline
from vigil.cli.output import columns, echo_json
from vigil.data import Track
from vigil.engine.runner import Runner
from vigil.host.track_tally import TrackBlock, TrackTally
from vigil.logs import configure_logs
from vigil.scene.moving import Scene
from vigil.scene.script import KINDS
from vigil.spec import Source, StreamSpec
from vigil.vision.manifest import Manifest, default_model, load_manifest

SPEC = StreamSpec(stream_id="evaluation", source=Source(uri="file:///"))


@click.command("drift", epilog="Example: vigil evaluate drift --cameras 10 --json")
@click.option("--cameras", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="Rendered scenes, each a camera.")  # fmt: skip
@click.option("--duration", "duration_s", type=click.FloatRange(10.0), default=60.0,
              show_default=True, help="Seconds of each.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 100_000), default=300, show_default=True,
              help="Tests of each camera, each on 900 tracks drawn from its own.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 900_000), default=1, show_default=True)
@detect_fps_option
@measured_model()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def drift(
    cameras: int,
    duration_s: float,
    repeats: int,
    seed: int,
    detect_fps: float,
    model: str,
    models_dir: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """How often drift is told where nothing changed: detector, tracker and test, on rendered cameras."""
    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    name = model or default_model(device, models_dir=models_dir)
    manifest = load_manifest(name, models_dir=models_dir)
    runner = Runner(manifest, device=device, max_batch=1, threads=0)
    watched = []
    for number in range(cameras):
        kind = KINDS[number % len(KINDS)]
        scene = Scene(seed + number, duration_s=duration_s, fps=detect_fps, kind=kind)
        watched.append(_ended_tracks(scene, manifest, runner, device=device))
    enough = [tracks for tracks in watched if len(tracks) >= LEAST_TRACKS]
    if not enough:
        raise click.UsageError(
            f"no camera has {LEAST_TRACKS} ended tracks; give a longer --duration"
        )
    alarms = {
        of: Share(count, len(enough) * repeats)
        for of, count in false_alarms(enough, repeats=repeats, seed=seed).items()
    }
    counts = [len(tracks) for tracks in watched]
    if as_json:
        echo_json(
            {
                "model": name,
                "ended_tracks": counts,
                "cameras_tested": len(enough),
                "false_alarms": {
                    of: {
                        "share": round(share.value, 5),
                        "share_95": [round(bound, 5) for bound in share.interval()],
                        "of": [share.count, share.of],
                    }
                    for of, share in alarms.items()
                },
            }
        )
    else:
        click.echo(
            columns(("OF", "FALSE ALARMS"), [(of, str(each)) for of, each in alarms.items()])
        )
        click.echo(
            f"{len(enough)} of {cameras} cameras, {min(counts)} to {max(counts)} ended tracks"
        )


def _ended_tracks(
    scene: Scene, manifest: Manifest, runner: Runner, *, device: str
) -> NDArray[np.float64]:
    """(N, 2) of the tracks that end in a scene, in order: mean score, 1 where lost within the picture."""
    offline = Offline(manifest, SPEC, device=device, runner=runner)
    tally = TrackTally(block=1)
    tracks: tuple[Track, ...] = ()
    ended: list[TrackBlock] = []
    for frame in scene.frames():
        tracks = offline.frame(frame.image, frame.time_s).tracks
        if block := tally.take(1, tracks):
            ended.append(block)
    while block := tally.take(1, tracks):  # several may end with one frame
        ended.append(block)
    return np.array(ended, np.float64).reshape(-1, 2)

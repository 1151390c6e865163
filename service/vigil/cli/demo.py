"""`vigil demo`: the main job from end to end, everything embedded."""

import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import Progress

from vigil.bench.demo import CLASSIFIER, Source, failures, play
from vigil.bench.embedded import EmbeddedVigil
from vigil.cli.demo_report import show_event, show_status, summary
from vigil.events.embedded import EmbeddedRedis
from vigil.scene.film import read_truth, render_to_file, truth_path
from vigil.scene.moving import REVISION, Scene

FILM_SEED = 7  # of the test side: its figures and backdrop were never trained on
FILM_S = 62.0


@click.command(epilog="Example: vigil demo rtsp://camera.local/stream1 --duration 60")
@click.argument("source", required=False)
@click.option("--duration", "duration_s", type=click.FloatRange(min=1), help="End after so long.")
@click.option("--detect-fps", default=5.0, show_default=True, help="Frames analysed a second.")
@click.option("--log", "log_path", type=click.Path(path_type=Path), help="Where the service logs.")
def demo(
    source: str | None, duration_s: float | None, detect_fps: float, log_path: Path | None
) -> None:
    """Start Redis and the service, submit one stream through gRPC, print its events from Redis.

    SOURCE is a video file, a folder of pictures, or an rtsp:// or http:// address. With none, a scene is
    rendered whose truth is known, and precision and recall against it are printed at the end. A zone is
    set on the picture's lower half and a line across its middle.
    """
    console = Console(highlight=False, soft_wrap=True)
    played = _rendered(console) if source is None else _given(source)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-demo-")))
        log_file = stack.enter_context((log_path or folder / "service.log").open("wb"))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis", port=0))
        with console.status("starting the service and loading the model …"):
            vigil = stack.enter_context(
                EmbeddedVigil(
                    folder / "state",
                    redis_url=redis.url,
                    file_roots=played.file_roots,
                    settings={
                        "VIGIL_GRPC__REFLECTION": "true",
                        "VIGIL_ENGINE__CLASSIFIERS": CLASSIFIER,
                    },
                    log=log_file,
                )
            )
        console.print(f"gRPC     {vigil.addresses.grpc}  (reflection is on)")
        console.print(f"metrics  http://{vigil.addresses.http}/metrics")
        console.print(f"Redis    {redis.tcp_url}  (stream vigil:events)")
        console.print(f"source   {played.uri}")
        run = asyncio.run(
            play(
                vigil,
                redis_url=redis.url,
                source=played,
                detect_fps=detect_fps,
                duration_s=duration_s,
                show=lambda event: show_event(console, event),
                tell=lambda status: show_status(console, status),
            )
        )
    summary(console, run)
    failed = failures(run)
    for line in failed:
        console.print(f"[red]failed[/red]   {line}")
    if failed and log_path is None:
        console.print("run it again with --log FILE to keep what the service logged")
    raise SystemExit(1 if failed else 0)


def _given(source: str) -> Source:
    """A source that the user names: a path, or an address."""
    if "://" in source:
        return Source(uri=source)
    path = Path(source).expanduser().resolve()
    if path.is_dir():
        return Source(uri=f"folder://{quote(str(path))}", file_roots=(path,))
    if not path.is_file():
        raise click.BadParameter(f"{source} is neither a file, a folder nor an address")
    return Source(uri=f"file://{quote(str(path))}", file_roots=(path.parent,))


def _rendered(console: Console) -> Source:
    """The demo's own scene, rendered once and kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil"
    cache.mkdir(parents=True, exist_ok=True)
    film = cache / f"demo-{REVISION}-{FILM_SEED}-{FILM_S:g}.mp4"
    if not (film.is_file() and truth_path(film).is_file()):
        scene = Scene(FILM_SEED, duration_s=FILM_S)
        scratch = film.with_stem(f"{film.stem}-{os.getpid()}")
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("rendering the demo's scene", total=scene.frame_count)
            render_to_file(
                scene, scratch, progress=lambda done, _: progress.update(task, completed=done)
            )
        truth_path(scratch).replace(truth_path(film))
        scratch.replace(film)
    return Source(uri=f"file://{quote(str(film))}", file_roots=(cache,), truth=read_truth(film))

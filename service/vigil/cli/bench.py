"""`vigil bench`: performance, measured through the real parts."""

import json
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from vigil.bench.clips import clip_path, make_clip
from vigil.bench.events import run as run_events
from vigil.bench.profile import PROFILES, Profile
from vigil.cli.density_search import DensitySearch
from vigil.cli.output import columns
from vigil.spec import Source
from vigil.vision.manifest import LARGER_MODEL, default_model, list_manifests

CLIP_S = 90.0


@click.group(epilog="Example: vigil bench density --profile main --streams 8")
def bench() -> None:
    """Measure speed and density."""


@bench.command(epilog="Example: vigil bench density --profile main --streams 8 --seconds 60 --json")
@click.option("--profile", "profile_name", type=click.Choice(list(PROFILES)), default="main")
@click.option("--streams", type=click.IntRange(min=1), help="Measure this number only.")
@click.option("--seconds", default=30.0, show_default=True, help="Measured time a step.")
@click.option("--model", default="", help="Empty: the service's default.")
@click.option("--second-stage", "classifier", default="", help="Classify every track's crops, too.")
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True),
    help="A real video, scaled up to the profile; without it, a rendered scene.",
)
@click.option("--bound/--no-bound", default=True, help="Measure the parts alone, too.")
@click.option(
    "--beside-seconds",
    default=15.0,
    show_default=True,
    help=f"Measured time a step of {LARGER_MODEL}, searched beside the default; 0 leaves it out.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to draw streams against latency and processor time (PNG; needs matplotlib).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def density(
    profile_name: str,
    streams: int | None,
    seconds: float,
    model: str,
    classifier: str,
    video: Path | None,
    bound: bool,
    beside_seconds: float,
    picture: Path | None,
    as_json: bool,
) -> None:
    """How many live-paced streams this machine holds.

    A number holds when at least 99 % of the due frames are analysed and 95 % of latencies, from capture
    to a consumer of Redis, are under 250 ms. Without --streams the largest number is searched for, and
    compared with the bound: cores × 1000 / (fps × decode + detect_fps × (convert + resize + infer)), in
    milliseconds of processor time, each part measured alone, decoding at the same number of streams.
    Without --model, too, the larger model is searched beside the default.
    """
    console = Console(stderr=True, highlight=False)
    profile = PROFILES[profile_name]
    search = DensitySearch(profile, _clip(profile, video, console), classifier, bound, console)
    name = model or default_model("cpu")
    larger = not model and streams is None and beside_seconds > 0 and name != LARGER_MODEL
    report = search.report(name, streams=streams, seconds=seconds)
    if larger and LARGER_MODEL in {manifest.name for manifest in list_manifests()}:
        beside = search.report(LARGER_MODEL, streams=None, seconds=beside_seconds)
        report = replace(report, beside=beside)
    elif larger:
        report = replace(report, notes=(f"{LARGER_MODEL} has no weights: its figures are missing",))
    for line in report.lines():
        console.print(line)
    if picture is not None:
        report.draw(picture)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    raise SystemExit(0 if report.most else 1)


@bench.command(epilog="Example: vigil bench engine --batch 8 --threads 2 --json")
@click.option("--model", default="", help="Empty: the service's default.")
@click.option("--batch", "batches", type=click.IntRange(1, 64), multiple=True, default=(1, 8))
@click.option(
    "--size", "sizes", multiple=True, help="Input size, 640x384; the model's where none is given."
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=True,
    help="Ours on kernels of our own and by AOTInductor, too.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def engine(
    model: str,
    batches: tuple[int, ...],
    sizes: tuple[str, ...],
    threads: int,
    compiled: bool,
    as_json: bool,
) -> None:
    """Frames a second of the detector: ours, ONNX Runtime, OpenVINO, in turn in the same run.

    All take uint8 pictures and give the best 100 boxes. The others need the extras peers and bench.
    """
    from vigil.bench.engine import advantage, measure  # torch, which other commands do without

    figures = measure(
        model or default_model("cpu"),
        batches=batches,
        sizes=[_size(text) for text in sizes],
        threads=threads,
        compiled=compiled,
    )
    ratios = {
        f"{precision} batch {batch}": advantage(
            [figure for figure in figures if figure.batch == batch], precision=precision
        )
        for precision in ("bfloat16", "int8")
        for batch in batches
    }
    if as_json:
        rows = [figure.as_json() for figure in figures]
        click.echo(json.dumps({"figures": rows, "times_openvino": ratios}, indent=2))
        return
    click.echo(
        columns(
            ("RUNTIME", "PRECISION", "INPUT", "BATCH", "FRAMES/S", "MS", "BEST", "CPU MS"),
            [
                (
                    figure.name,
                    figure.precision,
                    f"{figure.input_hw[1]}x{figure.input_hw[0]}",
                    str(figure.batch),
                    f"{figure.fps:.0f}",
                    f"{figure.ms:.2f}",
                    f"{figure.best_ms:.2f}",
                    f"{figure.cpu_ms:.2f}",
                )
                for figure in figures
            ],
        )
    )
    for name, ratio in ratios.items():
        if ratio is not None:
            click.echo(f"{name}: {ratio} times OpenVINO's fastest")


def _size(text: str) -> tuple[int, int]:
    """Height and width of 640x384. The nets want multiples of 32."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()) or int(width) % 32 or int(height) % 32:
        raise click.BadParameter(f"{text!r}: write width x height in multiples of 32, 640x384")
    return int(height), int(width)


@bench.command(epilog="Example: vigil bench events --events 100000 --json")
@click.option(
    "--events", "count", default=100_000, show_default=True, help="How many are appended."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def events(count: int, as_json: bool) -> None:
    """Events a second through outbox, publisher and Redis, beside raw pipelined XADD in the same run."""
    console = Console(stderr=True, highlight=False)
    with console.status("measuring for about half a minute …"):
        result = run_events(events=count)
    for key, value in result.items():
        console.print(f"{key:<24} {value}")
    if as_json:
        click.echo(json.dumps(result, indent=2))


@bench.command(epilog="Example: vigil bench soak --hours 2 --source rtsp://127.0.0.1:8554/live")
@click.option("--hours", default=2.0, show_default=True, help="How long; under 1 is not judged.")
@click.option("--streams", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--source", "uris", multiple=True, help="A live source beside them; repeatable.")
@click.option("--model", default="", help="Empty: the service's default.")
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True),
    help="A real video for the streams; without it, a rendered scene.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs/soak"),
    show_default=True,
    help="The folder for samples (JSON lines), plot, verdict and log.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def soak(
    hours: float,
    streams: int,
    uris: tuple[str, ...],
    model: str,
    video: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Whether anything grows or gets lost over hours of light load and steady mischief.

    A service of its own plays looped files and live sources; a stream comes and goes every minute, and
    every 20 minutes a host, the engine or Redis is killed. It holds when threads, descriptors and shared
    memory of no process grow, resident memory grows by less than 1 MB an hour within processes' lives,
    and the numbers of events have no gap.
    """
    from vigil.bench.soak import Plan, run  # these take a second to load
    from vigil.bench.soak_plot import write_plot

    console = Console(stderr=True, highlight=False)
    clip = _clip(PROFILES["sub"], video, console)
    sources = [Source(uri=clip.as_uri(), loop=True)] * streams + [Source(uri=uri) for uri in uris]
    outcome = run(Plan(seconds=hours * 3600), sources, output=output, model=model)
    told = json.dumps(outcome.as_json(), indent=2)
    (output / "verdict.json").write_text(told + "\n")
    write_plot(outcome.samples, output / "soak.png")
    for each in outcome.growth:
        verdict = "[green]flat[/green]" if each.flat else "[red]grows[/red]"
        console.print(
            f"{each.process:8} {verdict}  {each.rss_bytes_per_h / 1e6:+.2f} MB/h over"
            f" {each.judged_h:g} h in {each.lives} lives, at the end {each.rss_bytes / 1e6:.0f} MB;"
            f" descriptors {each.descriptors:+d}, threads {each.threads:+d},"
            f" shared memory {each.memfds:+d}"
        )
    toll = outcome.toll
    console.print(
        f"{toll.events} events, {toll.lost} lost, {toll.copies} copies; {outcome.visits} visits;"
        f" kills: {outcome.kills}; see {output}"
    )
    if as_json:
        click.echo(told)
    raise SystemExit(0 if outcome.holds else 1)


def _clip(profile: Profile, video: Path | None, console: Console) -> Path:
    """A clip of this profile, encoded the first time that it is asked for."""
    clip = clip_path(profile, seconds=CLIP_S, source=video)
    if clip.is_file():
        return clip
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"encoding {clip.name}", total=None)
        make_clip(
            profile,
            clip,
            seconds=CLIP_S,
            source=video,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    return clip

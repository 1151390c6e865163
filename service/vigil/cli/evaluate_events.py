"""`vigil evaluate events`: precision and recall of zone and line events, from pixels."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from vigil.accuracy.event_pictures import SeenFrame, write_mistakes
from vigil.accuracy.events import EventScores, score_events
from vigil.accuracy.golden_clips import SCENE_RULES
from vigil.accuracy.labelled_events import UnreadableLabels, read_labelled_events
from vigil.accuracy.mot_events import foot_points, labelled_moments, random_rules
from vigil.accuracy.scene_rules import TrueBoxes, random_scene_rules
from vigil.accuracy.tracking import read_mot
from vigil.cli.event_figures import figures_of, table
from vigil.cli.model_options import detect_fps_option, measured_model
from vigil.cli.offline import Offline, Video
from vigil.cli.output import echo_json
from vigil.data import U8, Event
from vigil.engine.runner import Runner
from vigil.host.sampling import Sampler
from vigil.logs import configure_logs
from vigil.scene.compose import SceneObject
from vigil.scene.moving import Scene
from vigil.scene.script import HALTS, KINDS, THINGS
from vigil.scene.truth import TruthEvent, truth_events
from vigil.spec import LineRule, Rule, Source, StreamSpec, ZoneRule
from vigil.vision.manifest import Manifest, default_model, load_manifest

Frames = Iterable[tuple[float, U8]]
Moments = list[tuple[float, Sequence[SceneObject]]]
SCENE_PX = (1280, 720)
GLANCED_PX = (512, 288)
SMALL_PX = (320, 180)  # enough for what hides what, where nothing is detected


@click.command(
    "events",
    epilog="Example: vigil evaluate events --video clip.mp4 --truth clip.mot.txt --json",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A video whose people are labelled.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its labels (MOTChallenge).",
)
@click.option(
    "--events",
    "labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What people saw happen in it, with its zones and lines (docs/accuracy.md).",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a picture of each miss and false alarm there.",
)
@click.option("--rules", "count", type=click.IntRange(1, 2000), default=200, show_default=True,
              help="Random lines and zones inside the tracked area of the video.")  # fmt: skip
@click.option("--random-rules", "random_count", type=click.IntRange(0, 2000), default=0,
              help="Rules at random in each scene instead of the usual ones, of every judged kind;"
              " figures from true boxes are added.")  # fmt: skip
@click.option("--scenes", type=click.IntRange(1, 1000), help="Rendered scenes instead of a video.")
@click.option("--kind", type=click.Choice((*KINDS, HALTS, THINGS)),
              help="Kind of the scenes (all but halts and things in turn).")  # fmt: skip
@click.option("--duration", "duration_s", type=click.FloatRange(5.0), default=40.0,
              show_default=True, help="Seconds of each scene.")  # fmt: skip
@click.option("--no-pixels", is_flag=True,
              help="Of scenes with rules at random from true boxes alone, without a detector.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 900_000), default=1, show_default=True)
@detect_fps_option
@measured_model()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def events(
    video: Path | None,
    truth: Path | None,
    labels: Path | None,
    pictures: Path | None,
    count: int,
    random_count: int,
    scenes: int | None,
    kind: str | None,
    duration_s: float,
    no_pixels: bool,
    seed: int,
    detect_fps: float,
    model: str,
    models_dir: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Precision and recall of zone and line events, on a labelled video or on rendered scenes."""
    if (scenes is None) == (video is None) or (video is None) != (truth is None and labels is None):
        raise click.UsageError("give --video with --truth or --events, or --scenes")
    if truth is not None and labels is not None:
        raise click.UsageError("give --truth or --events, not both")
    if no_pixels and not random_count:
        raise click.UsageError("--no-pixels is for scenes with --random-rules")
    configure_logs(level="warning", form="console")  # to stderr: stdout is for JSON
    name = model or default_model(device, models_dir=models_dir)
    manifest = load_manifest(name, models_dir=models_dir)
    player = _Player(manifest, device=device, detect_fps=detect_fps, pictures=pictures)
    if video is not None and labels is not None:
        scores = [player.watched(video, labels)]
    elif video is not None and truth is not None:
        scores = [player.labelled(video, truth, count=count, seed=seed)]
    else:
        size_px = SCENE_PX
        if no_pixels:
            size_px = GLANCED_PX if kind == THINGS else SMALL_PX
        kinds = [kind] if kind else list(KINDS)
        scores = [
            player.rendered(scene, random_count=random_count, pixels=not no_pixels)
            for scene in (
                Scene(
                    seed + n,
                    duration_s=duration_s,
                    width_px=size_px[0],
                    height_px=size_px[1],
                    fps=10.0,
                    kind=kinds[n % len(kinds)],
                )
                for n in range(scenes or 0)
            )
        ]
    figures = {} if no_pixels else figures_of(scores)
    if player.true_boxes:
        figures["true_boxes"] = figures_of(player.true_boxes)
    if as_json:
        echo_json({"model": name, "detect_fps": detect_fps, "seed": seed, **figures})
    else:
        click.echo(table(figures, judged=bool(scenes)))


class _Player:
    """Plays clips through detector, tracker and rules, and judges what they say."""

    def __init__(
        self, manifest: Manifest, *, device: str, detect_fps: float, pictures: Path | None
    ) -> None:
        self._manifest = manifest
        self._device = device
        self._detect_fps = detect_fps
        self._pictures = pictures
        self.true_boxes: list[EventScores] = []  # of the same scenes, where rules are at random
        self._runner: Runner | None = None  # of all clips, once there is something to detect
        self._seen: list[SeenFrame] = []  # of the clip at hand, where pictures are asked for

    def watched(self, video: Path, labels: Path) -> EventScores:
        """A video that people watched, with the zones and lines that they watched."""
        watched = read_labelled_events(labels)
        named = (rule.classes for rule in watched.rules if isinstance(rule, ZoneRule | LineRule))
        for label in set().union(*named):
            if label not in self._manifest.classes:
                known = ", ".join(self._manifest.classes)
                raise UnreadableLabels(
                    f"{labels}: {label!r} is no class of the model; it has {known}"
                )
        with Video(video) as clip:
            frames = (
                (played.time_s, played.image)
                for played in clip.play(detect_fps=self._detect_fps, convert_all=False)
                if played.due and played.time_s <= watched.until_s
            )
            seconds = watched.events[-1].time_s if watched.events else 1.0
            told = self._play(frames, watched.rules, seconds=seconds, classes=())
        return self._judge(watched.events, told, clip=video.stem, rules=watched.rules)

    def labelled(self, video: Path, truth: Path, *, count: int, seed: int) -> EventScores:
        """A video with labelled people, and rules at random."""
        labels = read_mot(truth)
        with Video(video) as clip:
            feet = foot_points(labels, size_px=clip.size_px)
            rules = random_rules(feet, count=count, seed=seed)
            moments = labelled_moments(labels, size_px=clip.size_px, fps=clip.fps)
            happened = truth_events(moments, rules)
            frames = (
                (played.time_s, played.image)
                for played in clip.play(detect_fps=self._detect_fps, convert_all=False)
                if played.due
            )
            seconds = len(labels) / clip.fps
            told = self._play(frames, rules, seconds=seconds, classes=("person",))
        return self._judge(happened, told, clip=video.stem, rules=rules)

    def rendered(self, scene: Scene, *, random_count: int = 0, pixels: bool = True) -> EventScores:
        """A rendered scene; its pictures are analysed at the analysed rate, its truth is whole.

        Without ``pixels`` they only say what hides what, and the figures are those of true boxes.
        """
        moments: Moments = []
        drawn = random_scene_rules(scene, count=random_count)
        rules = drawn or SCENE_RULES
        boxes = TrueBoxes(rules, self._manifest.classes) if drawn else None
        frames = self._due(scene, moments, boxes)
        told: list[Event] = []
        if pixels:
            told = self._play(frames, rules, seconds=scene.duration_s, classes=())
        else:
            deque(frames, maxlen=0)
        happened = truth_events(moments, rules, journeys=scene.journeys, looks=scene.thing_looks())
        if boxes is not None:
            self.true_boxes.append(score_events(happened, boxes.finish(), start_s=0.0))
        if not pixels:
            return self.true_boxes[-1]
        clip = f"{scene.kind}-{scene.seed}"
        return self._judge(happened, told, clip=clip, rules=rules)

    def _judge(
        self,
        happened: Sequence[TruthEvent],
        told: Sequence[Event],
        *,
        clip: str,
        rules: tuple[Rule, ...],
    ) -> EventScores:
        scores = score_events(happened, told, start_s=0.0)
        if self._pictures is not None:
            names = self._manifest.classes
            write_mistakes(
                self._pictures, scores, self._seen, clip=clip, rules=rules, class_names=names
            )
        return scores

    def _due(
        self,
        scene: Scene,
        moments: Moments,
        boxes: TrueBoxes | None,
    ) -> Iterator[tuple[float, U8]]:
        sampler = Sampler(self._detect_fps)
        for frame in scene.frames():
            moments.append((frame.time_s, frame.objects))
            if sampler.is_due(frame.time_s):
                if boxes is not None:
                    boxes.frame(frame.time_s, frame.objects, frame.image)
                yield frame.time_s, frame.image

    def _play(
        self, frames: Frames, rules: tuple[Rule, ...], *, seconds: float, classes: tuple[str, ...]
    ) -> list[Event]:
        spec = StreamSpec(
            stream_id="evaluation", source=Source(uri="file:///"), rules=rules, classes=classes
        )
        if self._runner is None:
            self._runner = Runner(self._manifest, device=self._device, max_batch=1, threads=0)
        offline = Offline(self._manifest, spec, device=self._device, runner=self._runner)
        told: list[Event] = []
        self._seen = []
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("seconds", total=seconds)
            for time_s, image in frames:
                gave = offline.frame(image, time_s)
                told += gave.events
                if self._pictures is not None:
                    self._seen.append(SeenFrame.of(image, time_s=time_s, tracks=gave.tracks))
                bar.update(task, completed=time_s)
        return told + list(offline.finish())

"""What the demo prints: events as they come, and a summary with its accuracy where the truth is known."""

from datetime import UTC, datetime

from rich.console import Console

from vigil.accuracy.events import score_events
from vigil.accuracy.scene_boxes import FoundBox, score_boxes
from vigil.bench.demo import CLASSIFIER, RULES, DemoRun
from vigil.bench.scrape import percentile
from vigil.data import Event, Phase
from vigil.scene.film import FilmTruth
from vigil.scene.truth import truth_events
from vigil.v1 import streams_pb2

_SILENT = ("marker", "track")  # one a frame: measured, not shown
_COLOURS = {"zone.enter": "green", "zone.exit": "yellow", "line.cross": "cyan"}


def show_event(console: Console, event: Event) -> None:
    """One line for an event that people want to see."""
    if event.type in _SILENT:
        if event.type == "track" and event.phase is Phase.NEW:
            console.print(f"  {_clock(event)}  [dim]{event.class_name} {event.track_id} seen[/dim]")
        if event.type == "track" and event.phase is Phase.END and (said := type_of(event)):
            console.print(
                f"  {_clock(event)}  [dim]{event.class_name} {event.track_id} was {said}[/dim]"
            )
        return
    colour = _COLOURS.get(event.type, "white")
    direction = event.attributes.get("direction")
    console.print(
        f"  {_clock(event)}  [{colour}]{event.type:<11}[/{colour}] {event.rule_id:<11} "
        f"{event.class_name} {event.track_id}"
        f"{f' to the {direction}' if direction else ''}  score {event.score or 0:.2f}"
        f"{f'  type {said}' if (said := type_of(event)) else ''}"
    )


def type_of(event: Event) -> str:
    """What the second stage says of the event's object, such as ``truck 0.93``; empty where it is silent."""
    said = event.attributes.get(CLASSIFIER)
    return f"{said['class']} {said['probability']}" if isinstance(said, dict) else ""


def show_status(console: Console, status: streams_pb2.StreamStatus) -> None:
    """One line for a state of the stream."""
    name = streams_pb2.StreamStatus.State.Name(status.state)
    reason = streams_pb2.StreamStatus.Reason.Name(status.reason) if status.reason else ""
    console.print(f"stream   {name} {reason} {status.detail}".rstrip())


def summary(console: Console, run: DemoRun) -> None:
    """What was done, how fast, and how right where that is known."""
    scrape = run.scrape
    assert scrape is not None
    console.print()
    outcomes = scrape.by("vigil_frames_total", "outcome")
    frames = ", ".join(f"{name} {count:.0f}" for name, count in outcomes.items() if count)
    console.print(
        f"frames   read {scrape.total('vigil_frames_read_total'):.0f}: {frames or 'none'}"
    )
    stages = {
        stage: scrape.mean_s("vigil_stage_seconds", stage=stage)
        for stage in ("decode", "convert", "resize", "infer", "track", "rules", "outbox", "publish")
    }
    console.print(
        "mean     "
        + ", ".join(f"{name} {mean * 1000:.1f} ms" for name, mean in stages.items() if mean)
    )
    middle, tail = percentile(run.latency_s, 50), percentile(run.latency_s, 95)
    if middle is not None and tail is not None:
        console.print(
            f"latency  capture to Redis: median {middle * 1000:.0f} ms, "
            f"95 % within {tail * 1000:.0f} ms, over {len(run.latency_s)} frames"
        )
    shown = [event for event in run.events if event.type not in _SILENT]
    console.print(f"events   {len(shown)} of zone and line, {len(run.events)} in all")
    if run.source.truth is not None and run.first_frame_s is not None:
        _accuracy(console, run, run.source.truth, start_s=run.first_frame_s)


def _accuracy(console: Console, run: DemoRun, truth: FilmTruth, *, start_s: float) -> None:
    """Precision and recall of events and boxes against the rendered truth, as far as it was played."""
    frames = {
        round((event.occurred_at_s - start_s) * truth.fps): event.occurred_at_s
        for event in run.events
        if event.type == "marker"
    }
    played_s = max(frames) / truth.fps
    happened = truth_events(truth.moments(until_s=played_s), RULES)
    scores = score_events(happened, run.events, start_s=start_s)
    console.print(f"truth    {scores.recall.of} events in the {played_s:.0f} s that were played")
    console.print(f"         precision {scores.precision}")
    console.print(f"         recall    {scores.recall}")
    for missed in scores.misses:
        console.print(
            f"         [dim]missed {missed.type} {missed.rule_id} at {missed.time_s:.1f} s[/dim]"
        )
    for claim in scores.false_alarms:
        console.print(
            f"         [dim]false {claim.type} {claim.rule_id} at {claim.time_s:.1f} s[/dim]"
        )
    for name, boxes in score_boxes(dict(enumerate(truth.frames)), _boxes(run, frames)).items():
        console.print(
            f"         {name} boxes at IoU 0.5: precision {boxes.precision.value:.3f}, "
            f"recall {boxes.recall.value:.3f}, mean IoU {boxes.mean_iou:.2f}, "
            f"over {boxes.recall.of} objects"
        )


def _boxes(run: DemoRun, frames: dict[int, float]) -> dict[int, list[FoundBox]]:
    """What was tracked in each analysed frame, by the frame's index in the film."""
    by_time: dict[float, list[FoundBox]] = {time_s: [] for time_s in frames.values()}
    for event in run.events:
        if event.type == "track" and event.phase is not Phase.END and event.bbox is not None:
            box = FoundBox(event.class_name or "", event.bbox)
            by_time.setdefault(event.occurred_at_s, []).append(box)
    return {index: by_time[time_s] for index, time_s in frames.items()}


def _clock(event: Event) -> str:
    return datetime.fromtimestamp(event.occurred_at_s, UTC).strftime("%H:%M:%S.%f")[:-4]

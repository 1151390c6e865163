"""Draws what our dashboards show of a real run: `python -m tests.support.dashboard_pictures FOLDER`.

A service with its default model, cameras of every kind, one of which is unplugged on the way, a golden clip
and a few verdicts, scraped by a real Prometheus. Each panel is drawn, in its place on the dashboard, from the
answer to its own query: Grafana's data, which itself has not been run. And the live page in a browser.
"""

import contextlib
import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from tests.support import browser, rtsp
from tests.support.http_camera import HttpServer, mjpeg_camera
from tests.support.prometheus import DASHBOARDS, Prometheus, filled_in
from tests.support.site import spec_of
from tests.support.waiting import until
from vigil.bench.embedded import EmbeddedVigil
from vigil.events.embedded import EmbeddedRedis
from vigil.scene.film import render_to_file
from vigil.scene.moving import Scene
from vigil.v1 import events_pb2, events_pb2_grpc, rules_pb2, streams_pb2, streams_pb2_grpc

Series: TypeAlias = list[dict[str, Any]]
SECONDS = 150.0
UNPLUGGED_S = 90.0  # into the run
GOLDEN_S = 240.0  # for a first round of golden clips
FILM_SEED, FILM_S = 5, 16.0
COLUMNS, ROW_IN, WIDTH_IN = 24, 0.32, 13.0
UNITS = {"s": "s", "percentunit": "share", "cps": "a second", "short": ""}
INK, FAINT, PAPER = "#1f2933", "#9aa5b1", "#ffffff"

_UPPER, _LOWER = {"x": 0, "y": 0.5}, {"x": 1, "y": 0.5}
RULES = [
    rules_pb2.Rule(
        rule_id="lower-half",
        zone=rules_pb2.ZoneRule(polygon=[_UPPER, _LOWER, {"x": 1, "y": 1}, {"x": 0, "y": 1}]),
    ),
    rules_pb2.Rule(rule_id="middle", line=rules_pb2.LineRule(points=[_UPPER, _LOWER])),
    rules_pb2.Rule(rule_id="objects", track=rules_pb2.TrackRule()),
    rules_pb2.Rule(rule_id="camera", camera_health=rules_pb2.CameraHealthRule()),
    rules_pb2.Rule(rule_id="things", stationary=rules_pb2.StationaryRule(duration={"seconds": 30})),
]


def main(folder: Path) -> None:
    """Run, then draw every dashboard into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch)) as (prometheus, page):
        end_s = time.time()
        if not browser.why_not():
            browser.photograph(page, folder / "live_page.png")
        for dashboard in DASHBOARDS:
            path = folder / f"{dashboard.stem}.png"
            draw(json.loads(dashboard.read_text()), prometheus, end_s=end_s, path=path)
            print(path)


@contextlib.contextmanager
def running(scratch: Path) -> Iterator[tuple[Prometheus, str]]:
    """A Prometheus that has seen a service at work for `SECONDS`, and the address of that one's live page."""
    films, golden = scratch / "films", scratch / "golden"
    for folder, kind in ((films, "demo"), (golden, "street")):
        folder.mkdir()
        scene = Scene(FILM_SEED, duration_s=FILM_S, width_px=960, height_px=540, kind=kind)
        render_to_file(scene, folder / "clip.mp4")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(EmbeddedRedis(scratch / "redis"))
        log = stack.enter_context((scratch / "vigil.log").open("wb"))
        vigil = EmbeddedVigil(
            scratch / "state",
            redis_url=redis.url,
            file_roots=[films],
            settings={
                "VIGIL_GOLDEN__ENABLED": "true",
                "VIGIL_GOLDEN__FOLDER": str(golden),
                "VIGIL_GOLDEN__FIRST_AFTER_S": "5",
                "VIGIL_GOLDEN__INTERVAL_S": "60",
                "VIGIL_CAPTURE__READ_TIMEOUT_S": "3",
            },
            log=log,
        )
        stack.enter_context(vigil)
        target = vigil.addresses.http
        prometheus = stack.enter_context(Prometheus(scratch, target=target))
        until(
            lambda: prometheus.query("vigil_accuracy"),
            timeout_s=GOLDEN_S,
            what="a round of golden clips, before there are cameras",
        )
        channel = stack.enter_context(grpc.insecure_channel(vigil.addresses.grpc))
        play(channel, stack, film=(films / "clip.mp4").as_uri())
        yield prometheus, f"http://{target}/"


def play(channel: grpc.Channel, stack: contextlib.ExitStack, *, film: str) -> None:
    """Cameras come, one goes, somebody looks at events now and then."""
    streams = streams_pb2_grpc.StreamServiceStub(channel)
    events = events_pb2_grpc.EventServiceStub(channel)
    porch = HttpServer.__enter__(mjpeg_camera())
    stack.enter_context(mjpeg := mjpeg_camera())
    sources = {"gate": film, "dock": film, "hall": f"{mjpeg.url}/x", "porch": f"{porch.url}/x"}
    if not rtsp.why_not():
        sources["yard"] = stack.enter_context(rtsp.RtspCamera()).url
    for stream_id, uri in sources.items():
        spec = spec_of(stream_id, uri, rules=RULES, detect_fps=5, source_loop=uri == film)
        streams.AddStream(streams_pb2.AddStreamRequest(spec=spec), timeout=30)
    began_s, plugged = time.monotonic(), True
    judged: set[str] = set()

    def over() -> bool:
        nonlocal plugged
        passed_s = time.monotonic() - began_s
        if plugged and passed_s > UNPLUGGED_S:
            plugged = False
            HttpServer.__exit__(porch, None, None, None)
        streams.ListStreams(streams_pb2.ListStreamsRequest(), timeout=30)
        listed = events.ListEvents(events_pb2.ListEventsRequest(page_size=50), timeout=30)
        for event in listed.events:
            if event.rule_id == "middle" and event.episode_id not in judged and len(judged) < 20:
                judged.add(event.episode_id)
                wrong = len(judged) % 7 == 0
                value = events_pb2.Verdict.WRONG if wrong else events_pb2.Verdict.CORRECT
                verdict = events_pb2.Verdict(episode_id=event.episode_id, value=value)
                events.ReportVerdict(events_pb2.ReportVerdictRequest(verdict=verdict), timeout=30)
        return passed_s > SECONDS

    until(over, timeout_s=SECONDS + 60)


def draw(dashboard: Any, prometheus: Prometheus, *, end_s: float, path: Path) -> None:
    """One picture of a dashboard: its panels where it has them."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height_in = rows * ROW_IN + 0.5
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.text(0.012, 1 - 0.32 / height_in, dashboard["title"], size=13, weight="bold", color=INK)
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, width = place["x"] / COLUMNS, place["w"] / COLUMNS
        bottom = 1 - (0.5 + (place["y"] + place["h"]) * ROW_IN) / height_in
        height = place["h"] * ROW_IN / height_in
        margin = 0.62 / height_in
        axes = figure.add_axes(
            (left + 0.045, bottom + 0.3 / height_in, width - 0.06, height - margin)
        )
        size = 8 if panel["type"] == "stat" else 9
        axes.set_title(panel["title"], size=size, loc="left", color=INK)
        _panel(axes, panel, prometheus, end_s=end_s)
    figure.savefig(path, dpi=75)


def _panel(axes: Axes, panel: Any, prometheus: Prometheus, *, end_s: float) -> None:
    kind = panel["type"]
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
    found: list[tuple[str, Series]] = []
    for target in panel["targets"]:
        expression, legend = filled_in(target["expr"]), target.get("legendFormat", "")
        if kind in ("stat", "table"):
            found.append((legend, prometheus.query(expression)))
        else:
            series = prometheus.query_range(
                expression, start_s=end_s - SECONDS, end_s=end_s, step_s=1
            )
            found.append((legend, series))
    axes.tick_params(labelsize=7, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    {
        "stat": _stat,
        "table": _table,
        "heatmap": _heatmap,
        "state-timeline": _timeline,
    }.get(kind, _lines)(axes, found, unit)


def _named(legend: str, labels: dict[str, str]) -> str:
    if not legend or legend == "__auto":
        return labels.get("stream_id") or labels.get("instance") or ""
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], "none"), legend)


def _points(series: dict[str, Any]) -> tuple[Any, Any]:
    """Times and values, a gap where Prometheus has none."""
    times = np.array([float(at) for at, _ in series["values"]])
    values = np.array([float(value) for _, value in series["values"]])
    gaps = np.flatnonzero(np.diff(times) > 1.5)
    return np.insert(times, gaps + 1, times[gaps] + 1), np.insert(values, gaps + 1, np.nan)


def _lines(axes: Axes, found: list[tuple[str, Series]], unit: str) -> None:
    for legend, every in found:
        for series in every:
            times, values = _points(series)
            axes.plot(_dates(times), values, lw=1.2, label=_named(legend, series["metric"]))
    _time_axis(axes)
    axes.set_ylabel(UNITS.get(unit, unit), size=7, color=INK)
    axes.grid(visible=True, color="#e4e7eb", lw=0.6)
    if axes.get_lines():
        highest = max(float(np.nanmax(line.get_ydata())) for line in axes.get_lines())
        axes.set_ylim(0.0, 1.45 * highest or 1.0)  # room for the legend
        axes.legend(fontsize=6, loc="upper left", frameon=False, ncols=4)


def _stat(axes: Axes, found: list[tuple[str, Series]], unit: str) -> None:
    axes.set_axis_off()
    every = list(itertools.chain(*(series for _, series in found)))
    shown = "\n".join(_number(float(each["value"][1]), unit) for each in every[:2])
    axes.text(0.5, 0.4, shown, size=18, ha="center", va="center", color=INK)


def _table(axes: Axes, found: list[tuple[str, Series]], unit: str) -> None:
    axes.set_axis_off()
    for row, each in enumerate(itertools.chain(*(series for _, series in found))):
        labels = {k: v for k, v in each["metric"].items() if k not in ("__name__", "job")}
        named = "   ".join(labels[name] for name in sorted(labels) if name != "instance")
        text = f"{named}   {_number(float(each['value'][1]), unit)}"
        axes.text(0.0, 0.92 - 0.13 * row, text, size=8, va="top", color=INK)


def _heatmap(axes: Axes, found: list[tuple[str, Series]], unit: str) -> None:
    every = sorted(
        (float(each["metric"]["le"]), each) for each in itertools.chain(*(s for _, s in found))
    )
    times = sorted({float(at) for _, each in every for at, _ in each["values"]})
    below = np.zeros((len(every), len(times)))
    for row, (_, each) in enumerate(every):
        at = {float(when): float(value) for when, value in each["values"]}
        below[row] = [at.get(when, 0.0) for when in times]
    counts = np.diff(below, axis=0, prepend=0.0)
    axes.pcolormesh(_dates(np.array(times)), np.arange(len(every)), counts, cmap="Blues")
    axes.set_yticks(np.arange(len(every)), [f"{bound:g} s" for bound, _ in every], size=6)
    _time_axis(axes)


def _timeline(axes: Axes, found: list[tuple[str, Series]], unit: str) -> None:
    names = []
    for row, (legend, each) in enumerate((le, e) for le, every in found for e in every):
        times, values = _points(each)
        axes.plot(_dates(times), np.where(np.isnan(values), np.nan, row), lw=10)
        names.append(_named(legend, each["metric"]))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    _time_axis(axes)


def _dates(times: Any) -> Any:
    return date2num(np.array(times * 1000, "datetime64[ms]"))


def _time_axis(axes: Axes) -> None:
    locator = AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _number(value: float, unit: str) -> str:
    if unit == "s" and abs(value) < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.3g}{' s' if unit == 's' else '/s' if unit == 'cps' else ''}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

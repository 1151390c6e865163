"""What pictures of events cost an event: from capture until Redis has it, without and with, in turn.

    python -m tests.support.picture_latency VIDEO --streams 4 --turns 6 --seconds 20

A real service, its own Redis, streams of a video (scaled to 1080p at 25 frames a second) whose zones are
strips that people walk through. A marker follows the other events of each frame and says when it was taken.
"""

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from tests.support.site import MARKER, Samples, Site
from vigil.bench.clips import clip_path, make_clip
from vigil.bench.profile import PROFILES
from vigil.events.reader import NOW, follow
from vigil.v1 import geometry_pb2, rules_pb2, streams_pb2

STRIPS = 24
WARM_UP_S = 8.0
SETTLED_S = 2.0  # after a turn begins; frames that were on their way are not counted
EVERY = streams_pb2.EventSnapshots(enabled=True)


def strips() -> list[rules_pb2.Rule]:
    """Zones side by side, and the marker last."""
    rules = []
    for number in range(STRIPS):
        left, right = number / STRIPS, (number + 1) / STRIPS
        corners = [(left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)]
        zone = rules_pb2.ZoneRule(polygon=[geometry_pb2.Point(x=x, y=y) for x, y in corners])
        rules.append(rules_pb2.Rule(rule_id=f"strip-{number}", zone=zone))
    return [*rules, MARKER]


async def collect(url: str, until_s: float) -> list[tuple[float, float]]:
    """(UTC of capture, seconds from it until Redis had the event) of those that get a picture."""
    found: list[tuple[float, float]] = []
    waiting: dict[str, list[float]] = defaultdict(list)  # when Redis had them, by stream
    async with asyncio.timeout(until_s - time.time() + 30.0):
        async for entry in follow(url, after=NOW, block_s=1.0):
            had_s = int(entry.entry_id.partition("-")[0]) / 1000
            if entry.type == "zone.enter":
                waiting[entry.stream_id].append(had_s)
            if entry.type != "marker":
                continue
            captured_s = entry.read().event.occurred_at_s
            found += [(captured_s, at_s - captured_s) for at_s in waiting.pop(entry.stream_id, [])]
            if captured_s > until_s:
                return found
    return found


def measure(clip: Path, *, streams: int, turns: int, seconds: float) -> None:
    """Print both, by turn and together."""
    settings = {
        "VIGIL_MODEL__NAME": "vigil-det-n",
        "VIGIL_HOSTS__MAX_LOAD": "0",
        "VIGIL_SNAPSHOTS__ENABLED": "true",
    }
    models = Path(__file__).parents[2] / "models"
    with (
        tempfile.TemporaryDirectory() as folder,
        Site(Path(folder), models=models, roots=[clip.parent], settings=settings) as site,
    ):
        names = [f"camera-{number}" for number in range(streams)]
        for name in names:
            site.add(name, clip.as_uri(), rules=strips(), detect_fps=5.0, source_loop=True,
                     source_pace=streams_pb2.Source.REAL_TIME)  # fmt: skip
        for name in names:
            site.wait_online(name)
        begin_s = time.time() + WARM_UP_S
        spans = [(begin_s + turn * seconds, turn % 2 == 1) for turn in range(turns)]
        events = asyncio.run(_turns(site, names, spans, until_s=begin_s + turns * seconds))
        scrape = site.scrape()
    report(events, spans, seconds=seconds, scrape=scrape)


async def _turns(
    site: Site, names: list[str], spans: list[tuple[float, bool]], *, until_s: float
) -> list[tuple[float, float]]:
    collecting = asyncio.create_task(collect(site.redis.url, until_s))
    for from_s, pictures in spans:
        await asyncio.sleep(max(0.0, from_s - time.time()))
        fields = {"event_snapshots": EVERY} if pictures else {}
        for name in names:
            await asyncio.to_thread(site.update, name, "event_snapshots", **fields)
    return await collecting


def report(
    events: list[tuple[float, float]],
    spans: list[tuple[float, bool]],
    *,
    seconds: float,
    scrape: Samples,
) -> None:
    together: dict[bool, list[float]] = {False: [], True: []}
    for from_s, pictures in spans:
        took = [s for at_s, s in events if from_s + SETTLED_S <= at_s < from_s + seconds]
        together[pictures] += took
        _line("with" if pictures else "without", took)
    for pictures, took in together.items():
        _line("all with" if pictures else "all without", took)
    stored = scrape.total("vigil_snapshots_stored_total")
    print(f"{stored:.0f} pictures, {scrape.total('vigil_snapshots_dropped_total'):.0f} dropped")


def _line(what: str, took_s: list[float]) -> None:
    if took_s:
        p50, p95, p99 = np.percentile(took_s, (50, 95, 99)) * 1000
        print(f"{what:12} {len(took_s):5} events  p50 {p50:.0f}  p95 {p95:.0f}  p99 {p99:.0f} ms")
    else:
        print(f"{what:12} no events")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    profile = PROFILES["main"]
    clip = clip_path(profile, seconds=90.0, source=given.video)
    if not clip.exists():
        make_clip(profile, clip, seconds=90.0, source=given.video, progress=lambda *_: None)
    measure(clip, streams=given.streams, turns=given.turns, seconds=given.seconds)

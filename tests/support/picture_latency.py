"""What pictures of events cost an event, from capture until Redis has it: without and with, in turn.

    python -m tests.support.picture_latency VIDEO --streams 4 --turns 6 --seconds 25

A real service with its own Redis, and streams of a video (at 1080p, 25 frames a second, five analysed) with
zones side by side: who walks there enters one after the other. A marker comes after the other events of a
frame and says when that was captured. Each turn plays the same seconds of the video; the first run makes a
clip of them.
"""

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.support.site import MARKER, Samples, Site
from vigil.bench.clips import clip_path, make_clip
from vigil.bench.profile import PROFILES
from vigil.events.reader import NOW, follow
from vigil.v1 import geometry_pb2, rules_pb2, streams_pb2
from vigil.vision.manifest import default_models_dir

ZONES = 24
WARM_UP_S = 8.0
SETTLED_S = 2.0  # into a turn: frames that were on their way when it began are not counted
LATE_S = 30.0  # the last events may come so long after the last turn
SETTINGS = {
    "VIGIL_MODEL__NAME": "vigil-det-n",
    "VIGIL_HOSTS__MAX_LOAD": "0",
    "VIGIL_SNAPSHOTS__ENABLED": "true",
}


class Turn(NamedTuple):
    """A while in which the streams ask for pictures of their events, or do not."""

    from_s: float  # UTC
    until_s: float
    pictures: bool

    def holds(self, captured_s: float) -> bool:
        return self.from_s + SETTLED_S <= captured_s < self.until_s


class Came(NamedTuple):
    """An event that gets a picture where its stream asks for them."""

    captured_s: float  # UTC
    took_s: float  # until Redis had it


def measure(clip: Path, *, streams: int, turns: int, seconds: float) -> None:
    """Print the latencies of each turn, and of all turns together."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Site(
            Path(folder), models=default_models_dir(), roots=[clip.parent], settings=SETTINGS
        ) as site,
    ):
        names = [f"camera-{number}" for number in range(streams)]
        for name in names:
            site.add(name, clip.as_uri(), rules=rules(), detect_fps=5.0, source_loop=True)
        for name in names:
            site.wait_online(name)
        begin_s = time.time() + WARM_UP_S
        starts_s = [begin_s + number * seconds for number in range(turns)]
        planned = [
            Turn(at_s, at_s + seconds, pictures=number % 2 == 1)
            for number, at_s in enumerate(starts_s)
        ]
        came = asyncio.run(take_turns(site, names, planned))
        report(came, planned, site.scrape())


def rules() -> list[rules_pb2.Rule]:
    """Zones side by side, and the marker after them."""
    zones = []
    for number in range(ZONES):
        left, right = number / ZONES, (number + 1) / ZONES
        corners = [(left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)]
        zone = rules_pb2.ZoneRule(polygon=[geometry_pb2.Point(x=x, y=y) for x, y in corners])
        zones.append(rules_pb2.Rule(rule_id=f"zone-{number}", zone=zone))
    return [*zones, MARKER]


async def take_turns(site: Site, names: Sequence[str], turns: Sequence[Turn]) -> list[Came]:
    """Ask for pictures in every other turn, while events are collected."""
    collecting = asyncio.create_task(collect(site.redis.url, until_s=turns[-1].until_s))
    for turn in turns:
        await asyncio.sleep(max(0.0, turn.from_s - time.time()))  # a turn lasts as long as it lasts
        wanted = streams_pb2.EventSnapshots(enabled=turn.pictures)
        for name in names:
            await asyncio.to_thread(site.update, name, "event_snapshots", event_snapshots=wanted)
    return await collecting


async def collect(url: str, *, until_s: float) -> list[Came]:
    """The events whose frames were captured by a time, as a consumer of Redis sees them."""
    came: list[Came] = []
    waiting: defaultdict[str, list[float]] = defaultdict(list)  # when Redis had them, by stream
    async with asyncio.timeout(until_s + LATE_S - time.time()):
        async for entry in follow(url, after=NOW, block_s=1.0):
            if entry.type == "zone.enter":
                waiting[entry.stream_id].append(int(entry.entry_id.partition("-")[0]) / 1000)
            elif entry.type == "marker":
                captured_s = entry.read().event.occurred_at_s
                if captured_s > until_s:
                    break
                had_s = waiting.pop(entry.stream_id, [])
                came += [Came(captured_s, at_s - captured_s) for at_s in had_s]
    return came


def report(came: Sequence[Came], turns: Sequence[Turn], samples: Samples) -> None:
    together: dict[bool, list[float]] = {False: [], True: []}
    for turn in turns:
        took_s = [each.took_s for each in came if turn.holds(each.captured_s)]
        together[turn.pictures] += took_s
        print(line("with" if turn.pictures else "without", took_s))
    for pictures, took_s in together.items():
        print(line("all with" if pictures else "all without", took_s))
    stored = samples.total("vigil_snapshots_stored_total")
    print(f"{stored:.0f} pictures, {samples.total('vigil_snapshots_dropped_total'):.0f} dropped")


def line(what: str, took_s: Iterable[float]) -> str:
    took_ms = np.array([*took_s]) * 1000
    if not took_ms.size:
        return f"{what:12} no events"
    p50, p95, p99 = np.percentile(took_ms, (50, 95, 99))
    return f"{what:12} {took_ms.size:5} events  p50 {p50:.0f}  p95 {p95:.0f}  p99 {p99:.0f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--turns", type=int, default=6, help="the first without pictures")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each turn")
    given = parser.parse_args()
    profile = PROFILES["main"]
    clip = clip_path(profile, seconds=given.seconds, source=given.video)
    if not clip.exists():
        make_clip(
            profile, clip, seconds=given.seconds, source=given.video, progress=lambda *_: None
        )
    measure(clip, streams=given.streams, turns=given.turns, seconds=given.seconds)

"""Whether anything grows or gets lost over hours of light load and steady mischief.

Streams play without end; one comes and goes; hosts, the engine and Redis are killed in turn. What every
process holds is written down as JSON lines all the while.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit

from vigil.api.client import StreamClient
from vigil.bench.embedded import EmbeddedVigil
from vigil.bench.growth import Growth, Sample, growth
from vigil.bench.processes import Holdings, processes
from vigil.bench.scrape import Scrape
from vigil.errors import Unavailable
from vigil.events.embedded import EmbeddedRedis
from vigil.events.reader import BEGINNING, Entry, follow
from vigil.spec import MarkerRule, Source, StreamSpec
from vigil.v1 import streams_pb2

SAMPLES = "samples.jsonl"
VISITOR = "visitor"
ONLINE_S = 60.0  # for a visitor to be seen; a kill may just have been
SETTINGS = {
    "VIGIL_ENGINE__THREADS": "1",
    "VIGIL_HOSTS__STREAMS_PER_HOST": "3",  # so that there is a host that is not killed
    "VIGIL_EVENTS__RETENTION_S": "600",  # so that event log and Redis are full when warm
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak does, and when."""

    seconds: float
    sample_s: float = 10.0
    visit_s: float = 60.0  # from one visit of the stream that comes and goes to the next
    kill_s: float = 1200.0  # from one kill to the next
    warm_up_s: float = 600.0  # of every process, not judged


@dataclass(slots=True)
class Toll:
    """What a consumer of the Redis stream saw. Numbers of a stream's events have no gap."""

    events: int = 0
    copies: int = 0
    lost: int = 0
    newest: dict[str, int] = field(default_factory=dict)

    def count(self, entry: Entry) -> None:
        """One more entry, in the order in which they lie in Redis."""
        number = entry.read().event_seq
        newest = self.newest.get(entry.stream_id, 0)
        if number <= newest:
            self.copies += 1
            return
        self.events += 1
        self.lost += number - newest - 1
        self.newest[entry.stream_id] = number


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a soak came to."""

    seconds: float
    visits: int
    kills: dict[str, int]
    toll: Toll
    frames: dict[str, int]
    growth: list[Growth]
    samples: list[Sample]

    @property
    def holds(self) -> bool:
        """Every process of vigil's was judged and is flat, and no event is missing."""
        ours = [each for each in self.growth if each.process != "redis"]
        return len(ours) == 3 and all(each.flat for each in ours) and self.toll.lost == 0

    def as_json(self) -> dict[str, object]:
        """For --json."""
        told = asdict(replace(self, samples=[]))
        del told["samples"]
        return {**told, "holds": self.holds}


def run(plan: Plan, sources: Sequence[Source], *, output: Path, model: str) -> Outcome:
    """Run a service of our own on these sources; samples and its log are written to ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    files = [urlsplit(source.uri) for source in sources if source.uri.startswith("file:")]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-soak-")))
        written = stack.enter_context((output / "vigil.log").open("ab"))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        settings = {**SETTINGS, "VIGIL_LOG__FORMAT": "json"}
        if model:
            settings["VIGIL_MODEL__NAME"] = model
        vigil = EmbeddedVigil(
            folder / "state",
            redis_url=redis.url,
            file_roots=[Path(unquote(parts.path)).parent for parts in files],
            settings=settings,
            log=written,
        )
        stack.enter_context(vigil)
        return asyncio.run(Soak(plan, sources, vigil=vigil, redis=redis, output=output).run())


class Soak:
    """One run; everything happens in one loop, so that samples are taken while nothing is on its way."""

    def __init__(
        self,
        plan: Plan,
        sources: Sequence[Source],
        *,
        vigil: EmbeddedVigil,
        redis: EmbeddedRedis,
        output: Path,
    ) -> None:
        self._plan = plan
        self._sources = sources
        self._vigil = vigil
        self._redis = redis
        self._path = output / SAMPLES
        self._samples: list[Sample] = []
        self._toll = Toll()
        self._visits = 0
        self._kills: dict[str, int] = {}
        self._began_s = 0.0

    async def run(self) -> Outcome:
        """Soak, then judge. Raises what the service's clients or its start raise."""
        consuming = asyncio.create_task(self._consume())
        async with StreamClient(self._vigil.addresses.grpc) as client:
            for number, source in enumerate(self._sources):
                await client.add(_spec(f"camera-{number}", source))
            await self._soak(client)
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
        scrape = Scrape.of(self._vigil.addresses.http)
        outcomes = scrape.by("vigil_frames_total", "outcome")
        return Outcome(
            seconds=round(self._now_s(), 1),
            visits=self._visits,
            kills=self._kills,
            toll=self._toll,
            frames={name: int(count) for name, count in outcomes.items() if count},
            growth=growth(self._samples, warm_up_s=self._plan.warm_up_s),
            samples=self._samples,
        )

    async def _soak(self, client: StreamClient) -> None:
        plan = self._plan
        self._began_s = time.monotonic()
        victims = itertools.cycle(("hosts", "engine", "redis"))
        with self._path.open("w") as file:
            for tick in itertools.count():
                due_s = tick * plan.sample_s
                if due_s > plan.seconds:
                    return
                await asyncio.sleep(max(0.0, due_s - self._now_s()))
                self._sample(file)
                if _falls(due_s, plan.kill_s, plan.sample_s):
                    self._kill(next(victims))
                elif _falls(due_s, plan.visit_s, plan.sample_s):
                    await self._visit(client)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _sample(self, file: TextIO) -> None:
        kinds = {**processes(self._vigil.pid), "redis": [self._redis.pid]}
        for kind, pids in kinds.items():
            for pid in pids:
                with contextlib.suppress(OSError):  # it has just ended
                    sample = Sample(round(self._now_s(), 2), kind, pid, Holdings.of(pid))
                    self._samples.append(sample)
                    file.write(json.dumps(asdict(sample)) + "\n")
        file.flush()

    def _kill(self, victim: str) -> None:
        """The oldest host, the engine or Redis, which alone has nobody else to start it again."""
        self._kills[victim] = self._kills.get(victim, 0) + 1
        if victim == "redis":
            self._redis.kill()
            self._redis.start()
        else:
            os.kill(min(processes(self._vigil.pid)[victim]), signal.SIGKILL)

    async def _visit(self, client: StreamClient) -> None:
        """A stream comes, is seen online, and goes."""
        self._visits += 1
        await client.add(_spec(VISITOR, self._sources[0]))
        async with asyncio.timeout(ONLINE_S), contextlib.aclosing(client.watch(VISITOR)) as states:
            async for stream in states:
                if stream.status.state == streams_pb2.StreamStatus.ONLINE:
                    break
        await client.remove(VISITOR)

    async def _consume(self) -> None:
        """Count what a consumer gets that goes on after the last entry it had, whatever happens."""
        after = BEGINNING
        while True:
            try:
                async for entry in follow(self._redis.url, after=after):
                    self._toll.count(entry)
                    after = entry.entry_id
            except (Unavailable, TimeoutError):
                await asyncio.sleep(1.0)  # Redis is being started again


def _spec(stream_id: str, source: Source) -> StreamSpec:
    return StreamSpec(
        stream_id=stream_id, source=source, rules=(MarkerRule(rule_id="every-analysed-frame"),)
    )


def _falls(due_s: float, every_s: float, tick_s: float) -> bool:
    """Whether a multiple of ``every_s`` lies in the tick that ends at ``due_s``."""
    return due_s > 0 and due_s // every_s > (due_s - tick_s) // every_s

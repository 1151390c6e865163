"""How many live-paced streams a machine holds, measured through the real service and real Redis."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from vigil.api.client import StreamClient
from vigil.bench.embedded import EmbeddedVigil
from vigil.bench.processes import cpu_s, processes, proportional_mib
from vigil.bench.profile import Profile
from vigil.bench.scrape import Scrape, percentile
from vigil.events.embedded import EmbeddedRedis
from vigil.events.reader import follow
from vigil.metrics.page import STAGES
from vigil.spec import MarkerRule, Pace, Source, StreamSpec

ENOUGH_ANALYSED = 0.99
LATENCY_LIMIT_S = 0.25
WARM_UP_S = 6.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one number of streams gave over the measured time."""

    streams: int
    seconds: float
    due_frames: int
    analysed_frames: int
    analysed_share: float
    p50_ms: float | None  # None: no frame came through
    p95_ms: float | None
    p99_ms: float | None
    within_limit_share: float
    cpu_share: dict[str, float]  # of one core, by process
    stage_mean_ms: dict[str, float]
    memory_mib: dict[str, float]
    dropped: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the machine held them: frames analysed, and 95 % of latencies under the limit."""
        in_time = self.p95_ms is not None and self.p95_ms < LATENCY_LIMIT_S * 1000
        return in_time and self.analysed_share >= ENOUGH_ANALYSED

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {**asdict(self), "holds": self.holds}


def measure_step(
    profile: Profile,
    clip: Path,
    *,
    streams: int,
    seconds: float,
    model: str,
    log_path: Path,
) -> Step:
    """Start a service, run so many streams of the clip, and measure for ``seconds`` after warm-up.

    Every analysed frame carries a marker event through outbox and Redis; its latency is from when the
    frame was due until a consumer of the Redis stream has it.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-density-")))
        log = stack.enter_context(log_path.open("ab"))
        redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        vigil = stack.enter_context(
            EmbeddedVigil(
                folder / "state",
                redis_url=redis.url,
                file_roots=[clip.parent],
                settings={"VIGIL_MODEL__NAME": model} if model else {},
                log=log,
            )
        )
        return asyncio.run(
            _measure(vigil, redis, profile, clip=clip, streams=streams, seconds=seconds)
        )


def find_most(
    measure: Callable[[int], Step], *, first: int, tell: Callable[[Step], None]
) -> list[Step]:
    """Steps up to the largest number that holds: growing by half, then halving the gap."""
    steps: dict[int, Step] = {}

    def holds(streams: int) -> bool:
        if streams not in steps:
            steps[streams] = measure(streams)
            tell(steps[streams])
        return steps[streams].holds

    low, high = 0, first
    while holds(high):
        low, high = high, max(high + 1, round(high * 1.5))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return [steps[streams] for streams in sorted(steps)]


async def _measure(
    vigil: EmbeddedVigil,
    redis: EmbeddedRedis,
    profile: Profile,
    *,
    clip: Path,
    streams: int,
    seconds: float,
) -> Step:
    arrivals: list[tuple[float, float]] = []  # (UTC of arrival, latency)

    async def consume() -> None:
        async for entry in follow(redis.url, block_s=1.0):
            event = entry.read().event
            now_s = time.time()
            arrivals.append((now_s, now_s - event.occurred_at_s))

    consuming = asyncio.create_task(consume())
    async with StreamClient(vigil.addresses.grpc) as client:
        for number in range(streams):
            await client.add(_spec(profile, clip, number))
            # cameras are not in step with each other: spread them over a frame's interval of analysis
            await asyncio.sleep(1 / profile.detect_fps / streams)
        await asyncio.sleep(WARM_UP_S)
        before, cpu_before, from_s = _reading(vigil, redis)
        await asyncio.sleep(seconds)
        after, cpu_after, until_s = _reading(vigil, redis)
        await asyncio.sleep(1.0)  # what was captured in time may still arrive
        memory_mib = {
            name: proportional_mib(pids) for name, pids in _processes(vigil, redis).items()
        }
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    latencies = [latency_s for at_s, latency_s in arrivals if from_s <= at_s - latency_s < until_s]
    elapsed_s = until_s - from_s
    due = round(streams * profile.detect_fps * elapsed_s)
    outcomes = {
        name: int(count - before.by("vigil_frames_total", "outcome").get(name, 0))
        for name, count in after.by("vigil_frames_total", "outcome").items()
    }
    analysed = min(outcomes["analysed"], len(latencies))
    return Step(
        streams=streams,
        seconds=round(elapsed_s, 2),
        due_frames=due,
        analysed_frames=analysed,
        analysed_share=round(min(1.0, analysed / due), 5),
        p50_ms=_ms(percentile(latencies, 50)),
        p95_ms=_ms(percentile(latencies, 95)),
        p99_ms=_ms(percentile(latencies, 99)),
        within_limit_share=round(
            sum(each < LATENCY_LIMIT_S for each in latencies) / max(1, len(latencies)), 5
        ),
        cpu_share={
            name: round((cpu_after[name] - cpu_before[name]) / elapsed_s, 3) for name in cpu_after
        },
        stage_mean_ms=_stage_means_ms(before, after),
        memory_mib=memory_mib,
        dropped={
            name: count for name, count in outcomes.items() if name.startswith("dropped") and count
        },
    )


def _spec(profile: Profile, clip: Path, number: int) -> StreamSpec:
    return StreamSpec(
        stream_id=f"camera-{number:03d}",
        source=Source(uri=clip.as_uri(), pace=Pace.REAL_TIME, loop=True),
        detect_fps=profile.detect_fps,
        rules=(MarkerRule(rule_id="frames"),),
    )


def _reading(vigil: EmbeddedVigil, redis: EmbeddedRedis) -> tuple[Scrape, dict[str, float], float]:
    used_s = {
        name: sum(cpu_s(pid) for pid in pids) for name, pids in _processes(vigil, redis).items()
    }
    return Scrape.of(vigil.addresses.http), used_s, time.time()


def _processes(vigil: EmbeddedVigil, redis: EmbeddedRedis) -> dict[str, list[int]]:
    return {**processes(vigil.pid), "redis": [redis.pid]}


def _stage_means_ms(before: Scrape, after: Scrape) -> dict[str, float]:
    means = {}
    for stage in (*STAGES, "outbox", "publish"):
        name = "vigil_stage_seconds"
        count = after.total(f"{name}_count", stage=stage) - before.total(
            f"{name}_count", stage=stage
        )
        seconds = after.total(f"{name}_sum", stage=stage) - before.total(f"{name}_sum", stage=stage)
        if count:
            means[stage] = round(seconds / count * 1000, 3)
    return means


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)

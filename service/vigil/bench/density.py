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
from vigil.bench.processes import machine_cpu_s, processes, proportional_mib
from vigil.bench.profile import Profile
from vigil.bench.scrape import Scrape, percentile
from vigil.events.embedded import EmbeddedRedis
from vigil.events.reader import follow
from vigil.metrics.page import STAGES
from vigil.metrics.usage import process_cpu_s
from vigil.spec import MarkerRule, Pace, Point, SecondStage, Source, StreamSpec, ZoneRule

ENOUGH_ANALYSED = 0.99
LATENCY_LIMIT_S = 0.25
WARM_UP_S = 6.0
# So many streams, or up to twice as many, carry markers: thousands of latencies in 30 s. Each costs what an
# event does; real cameras have few, and the figures would be the events' as much as the cameras'.
MARKED = 16
FIRST = 4  # streams of the first step, which the largest number is compared with
MIDDLE = ZoneRule(
    rule_id="middle", polygon=(Point(0.2, 0.2), Point(0.8, 0.2), Point(0.8, 0.9), Point(0.2, 0.9))
)
_WORK = frozenset({"decode", "convert", "resize", "infer", "postprocess", "track", "rules"})
_OF_BATCHES = frozenset({"infer", "postprocess"})
_OURS = ("service", "hosts", "engine")  # Redis is reported apart


@dataclass(frozen=True, slots=True)
class Step:
    """What one number of streams gave over the measured time."""

    streams: int
    marked_streams: int  # whose frames' latencies were measured
    seconds: float
    due_frames: int
    analysed_frames: int
    analysed_share: float
    p50_ms: float | None  # None: no frame came through
    p95_ms: float | None
    p99_ms: float | None
    within_limit_share: float
    cpu_share: dict[str, float]  # of one core, by process
    elsewhere_share: float  # of one core, of whatever else ran on the machine
    stage_mean_ms: dict[str, float]
    stage_cpu_share: dict[str, float]  # of one core
    batch_mean: float
    crops: int  # that a second stage classified
    memory_mib: dict[str, float]
    dropped: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the machine held them: frames analysed, and 95 % of latencies under the limit."""
        in_time = self.p95_ms is not None and self.p95_ms < LATENCY_LIMIT_S * 1000
        return in_time and self.analysed_share >= ENOUGH_ANALYSED

    @property
    def stream_cpu_ms(self) -> float:
        """Milliseconds of processor time of service, hosts and engine for each second of a stream."""
        return round(sum(self.cpu_share[name] for name in _OURS) * 1000 / self.streams, 2)

    @property
    def frame_cpu_ms(self) -> float | None:
        """The same for each analysed frame; None: there was none."""
        cpu_s = sum(self.cpu_share[name] for name in _OURS) * self.seconds
        return round(cpu_s * 1000 / self.analysed_frames, 2) if self.analysed_frames else None

    @property
    def stream_mib(self) -> float:
        """Memory of the hosts a stream: it is they that grow with streams."""
        return round(self.memory_mib["hosts"] / self.streams, 1)

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {
            **asdict(self),
            "stream_cpu_ms": self.stream_cpu_ms,
            "stream_mib": self.stream_mib,
            "holds": self.holds,
        }


def measure_step(
    profile: Profile,
    clip: Path,
    *,
    streams: int,
    seconds: float,
    model: str,
    log_path: Path,
    classifier: str = "",
) -> Step:
    """Start a service, run so many streams of the clip, and measure for ``seconds`` after warm-up.

    Every analysed frame of the marked streams, which are spread over all, carries a marker event through
    outbox and Redis; its latency is from when the frame was due until a consumer of the Redis stream has
    it. The others have a zone instead.
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
                settings={
                    **({"VIGIL_MODEL__NAME": model} if model else {}),
                    "VIGIL_HOSTS__MAX_LOAD": "0",  # what it cannot hold is what is looked for
                    **({"VIGIL_ENGINE__CLASSIFIERS": classifier} if classifier else {}),
                },
                log=log,
            )
        )
        return asyncio.run(
            _measure(
                vigil,
                redis,
                profile,
                specs=_specs(profile, clip, streams, classifier),
                seconds=seconds,
            )
        )


def find_most(
    measure: Callable[[int], Step], *, guess: int, tell: Callable[[Step], None]
) -> list[Step]:
    """Steps up to the largest number that holds, from ``guess`` outwards, then halving the gap.

    The first step is of `FIRST` streams. A gap of 2 % is not halved any further.
    """
    steps: dict[int, Step] = {}

    def holds(streams: int) -> bool:
        if streams not in steps:
            steps[streams] = measure(streams)
            tell(steps[streams])
        return steps[streams].holds

    low, high = (FIRST, max(FIRST + 1, guess)) if holds(FIRST) else (0, FIRST)
    if low and not holds(high):
        while (lower := round(high * 0.85)) > low:
            if holds(lower):
                low = lower
                break
            high = lower
    while low and holds(high):
        low, high = high, max(high + 1, round(high * 1.25))
    while high - low > max(1, round(0.02 * high)):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return [steps[streams] for streams in sorted(steps)]


async def _measure(
    vigil: EmbeddedVigil,
    redis: EmbeddedRedis,
    profile: Profile,
    *,
    specs: list[StreamSpec],
    seconds: float,
) -> Step:
    streams = len(specs)
    arrivals: list[tuple[float, float]] = []  # (UTC of arrival, latency)

    async def consume() -> None:
        async for entry in follow(redis.url, block_s=1.0):
            event = entry.read().event
            now_s = time.time()
            if event.type == "marker":
                arrivals.append((now_s, now_s - event.occurred_at_s))

    consuming = asyncio.create_task(consume())
    async with StreamClient(vigil.addresses.grpc) as client:
        for spec in specs:
            await client.add(spec)
            # cameras are not in step with each other: spread them over a frame's interval of analysis
            await asyncio.sleep(1 / profile.detect_fps / streams)
        await asyncio.sleep(WARM_UP_S)
        before, cpu_before, from_s = _reading(vigil, redis)
        machine_before_s = machine_cpu_s()
        await asyncio.sleep(seconds)
        machine_s = machine_cpu_s() - machine_before_s
        after, cpu_after, until_s = _reading(vigil, redis)
        await asyncio.sleep(1.0)  # what was captured in time may still arrive
        memory = {name: proportional_mib(pids) for name, pids in _processes(vigil, redis).items()}
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    latencies = [latency_s for at_s, latency_s in arrivals if from_s <= at_s - latency_s < until_s]
    elapsed_s = until_s - from_s
    due = round(streams * profile.detect_fps * elapsed_s)
    outcomes = {
        name: int(count - before.by("vigil_frames_total", "outcome").get(name, 0))
        for name, count in after.by("vigil_frames_total", "outcome").items()
    }
    marked = [spec.stream_id for spec in specs if isinstance(spec.rules[0], MarkerRule)]
    # a frame whose event did not arrive was analysed in vain
    arrived = len(latencies) / max(1, _analysed(after, marked) - _analysed(before, marked))
    analysed = round(outcomes["analysed"] * min(1.0, arrived))
    cpu_share = {
        name: round((cpu_after[name] - cpu_before[name]) / elapsed_s, 3) for name in cpu_after
    }
    stages, batch_mean = _stages(before, after), _batch_mean(before, after)
    return Step(
        streams=streams,
        marked_streams=len(marked),
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
        cpu_share=cpu_share,
        elsewhere_share=round(max(0.0, machine_s / elapsed_s - sum(cpu_share.values())), 3),
        stage_mean_ms={
            name: round(seconds / count * 1000, 3) for name, (count, seconds) in stages.items()
        },
        stage_cpu_share={
            # every frame of a batch is charged with the whole batch's time
            name: round(seconds / elapsed_s / (batch_mean if name in _OF_BATCHES else 1.0), 3)
            for name, (_, seconds) in stages.items()
            if name in _WORK
        },
        batch_mean=round(batch_mean, 2),
        crops=int(
            after.total("vigil_crops_total", outcome="classified")
            - before.total("vigil_crops_total", outcome="classified")
        ),
        memory_mib=memory,
        dropped={
            name: count for name, count in outcomes.items() if name.startswith("dropped") and count
        },
    )


def _specs(profile: Profile, clip: Path, streams: int, classifier: str) -> list[StreamSpec]:
    """Cameras that play the clip, `MARKED` of them or some more with a marker for each frame."""
    every = max(1, streams // MARKED)
    return [
        StreamSpec(
            stream_id=f"camera-{number:03d}",
            source=Source(uri=clip.as_uri(), pace=Pace.REAL_TIME, loop=True),
            detect_fps=profile.detect_fps,
            rules=(MarkerRule(rule_id="frames") if number % every == 0 else MIDDLE,),
            second_stages=(SecondStage(classifier=classifier),) if classifier else (),
        )
        for number in range(streams)
    ]


def _analysed(scrape: Scrape, stream_ids: list[str]) -> int:
    analysed = scrape.by("vigil_frames_total", "stream_id", outcome="analysed")
    return int(sum(analysed.get(stream_id, 0) for stream_id in stream_ids))


def _reading(vigil: EmbeddedVigil, redis: EmbeddedRedis) -> tuple[Scrape, dict[str, float], float]:
    used_s = {
        name: sum(process_cpu_s(pid) for pid in pids)
        for name, pids in _processes(vigil, redis).items()
    }
    return Scrape.of(vigil.addresses.http), used_s, time.time()


def _processes(vigil: EmbeddedVigil, redis: EmbeddedRedis) -> dict[str, list[int]]:
    return {**processes(vigil.pid), "redis": [redis.pid]}


def _stages(before: Scrape, after: Scrape) -> dict[str, tuple[float, float]]:
    """Count and seconds of each stage between two scrapes, of those that anything passed."""
    name, stages = "vigil_stage_seconds", {}
    for stage in (*STAGES, "outbox", "publish"):
        count, seconds = (
            after.total(f"{name}_{part}", stage=stage) - before.total(f"{name}_{part}", stage=stage)
            for part in ("count", "sum")
        )
        if count:
            stages[stage] = (count, seconds)
    return stages


def _batch_mean(before: Scrape, after: Scrape) -> float:
    frames, batches = (
        after.total(f"vigil_batch_size_{part}") - before.total(f"vigil_batch_size_{part}")
        for part in ("sum", "count")
    )
    return frames / batches if batches else 1.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)

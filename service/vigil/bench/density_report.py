"""What a search for the largest number of streams came to: figures, and a picture of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vigil.bench.alone import Alone
from vigil.bench.density import LATENCY_LIMIT_S, Step
from vigil.bench.profile import Profile

_GROWTH = (
    "first_streams",
    "first_stream_mib",
    "first_stream_mib_beside_decoder",
    "stream_mib_growth",
    "first_stream_cpu_beside_decode_ms",
    "stream_cpu_beside_decode_ms",
    "stream_cpu_beside_decode_growth",
)


@dataclass(frozen=True, slots=True)
class DensityReport:
    """The steps of a search, and the bound that the same machine had in the same minutes."""

    profile: Profile
    model: str
    cores: int
    steps: Sequence[Step]
    alone: Alone | None  # None: nothing held, or the bound was not asked for
    alone_first: Alone | None = None  # at the first step's streams; None: there was one number only
    notes: tuple[str, ...] = ()
    beside: "DensityReport | None" = None  # of another model on the same machine

    @property
    def most(self) -> Step | None:
        """The step with the most streams that held."""
        return max(
            (step for step in self.steps if step.holds), key=lambda s: s.streams, default=None
        )

    def as_json(self) -> dict[str, object]:
        """For --json."""
        most = self.most
        return {
            "profile": self.profile.name,
            "model": self.model,
            "cores": self.cores,
            "streams": most.streams if most else 0,
            "p50_ms": most.p50_ms if most else None,
            "p95_ms": most.p95_ms if most else None,
            "cpu_ms_per_frame": most.frame_cpu_ms if most else None,
            **self._against_bound(),
            "steps": [step.as_json() for step in self.steps],
            "notes": list(self.notes),
            **({"beside": self.beside.as_json()} if self.beside else {}),
        }

    def _against_bound(self) -> dict[str, object]:
        most, alone = self.most, self.alone
        if most is None or alone is None:
            return {}
        bound, stream_ms = (
            alone.bound(self.profile, cores=self.cores),
            alone.stream_ms(self.profile),
        )
        return {
            "bound": round(bound, 1),
            "ratio_to_bound": round(most.streams / bound, 3),
            "bound_stream_ms": round(stream_ms, 2),
            "stream_cpu_ms": most.stream_cpu_ms,
            "stream_cpu_to_bound": round(most.stream_cpu_ms / stream_ms, 3),
            "stream_mib": most.stream_mib,
            "stream_mib_beside_decoder": round(most.stream_mib - alone.decoder_mib, 1),
            **self._growth(most, alone),
            "alone": {key: _rounded(value) for key, value in asdict(alone).items()},
        }

    def _growth(self, most: Step, alone: Alone) -> dict[str, object]:
        """What a stream costs at the first step and at the most, decoding left out at each."""
        first = min((step for step in self.steps if step.holds), key=lambda step: step.streams)
        if self.alone_first is None or first is most:
            return {}
        at_first = _beside_decoding(first, self.profile.fps * self.alone_first.decode_ms)
        at_most = _beside_decoding(most, self.profile.fps * alone.decode_ms)
        return {
            "first_streams": first.streams,
            "first_stream_mib": first.stream_mib,
            "first_stream_mib_beside_decoder": round(
                first.stream_mib - self.alone_first.decoder_mib, 1
            ),
            "stream_mib_growth": round(most.stream_mib / first.stream_mib - 1, 3),
            "first_stream_cpu_beside_decode_ms": round(at_first, 2),
            "stream_cpu_beside_decode_ms": round(at_most, 2),
            "stream_cpu_beside_decode_growth": round(at_most / at_first - 1, 3),
        }

    def lines(self) -> list[str]:
        """The figures for people."""
        found = self._against_bound()
        most = f"{self.most.streams if self.most else 0} streams of {self.profile.name}"
        lines = [f"{most} hold on {self.cores} cores with {self.model}"]
        names = (
            "bound",
            "ratio_to_bound",
            "stream_cpu_ms",
            "bound_stream_ms",
            "stream_cpu_to_bound",
        )
        memory = ("stream_mib", "stream_mib_beside_decoder")
        lines += [
            f"{name:<34} {found[name]}" for name in (*names, *memory, *_GROWTH) if name in found
        ]
        return [*lines, *self.notes, *(self.beside.lines() if self.beside else ())]

    def draw(self, path: Path) -> None:
        """Write a picture: latency and processor time by streams. Needs matplotlib."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        streams, steps = self._answered()
        figure = Figure(figsize=(10, 4), layout="constrained")
        latency, cpu = figure.subplots(1, 2)
        latency.plot(streams, [step.p50_ms for step in steps], marker=".", label="p50")
        latency.plot(streams, [step.p95_ms for step in steps], marker="o", label="p95")
        if self.beside is not None:
            theirs, beside = self.beside._answered()
            p95_ms = [step.p95_ms for step in beside]
            latency.plot(theirs, p95_ms, marker="x", label=f"p95, {self.beside.model}")
        latency.axhline(LATENCY_LIMIT_S * 1000, color="grey", linestyle=":", label="limit")
        latency.set(xlabel="streams", ylabel="capture to Redis, ms", yscale="log")
        names = list(steps[0].cpu_share) if steps else []
        shares = [[step.cpu_share[name] for step in steps] for name in names]
        cpu.stackplot(streams, *shares, labels=names)
        cpu.axhline(self.cores, color="grey", linestyle=":")
        cpu.set(xlabel="streams", ylabel="cores")
        for axes in (latency, cpu):
            if self.alone is not None:
                bound = self.alone.bound(self.profile, cores=self.cores)
                axes.axvline(bound, color="black", linestyle="--", label="bound")
            axes.legend()
        figure.suptitle(f"{self.profile.name}: {self.lines()[0]}")
        FigureCanvasAgg(figure)
        figure.savefig(path)

    def _answered(self) -> tuple[list[int], list[Step]]:
        """The steps in which frames came through, with their streams."""
        steps = [step for step in self.steps if step.p95_ms is not None]
        return [step.streams for step in steps], steps


def _beside_decoding(step: Step, decode_ms: float) -> float:
    """Milliseconds of processor time a stream second beside decoding, which is not ours to better."""
    return max(step.stream_cpu_ms - decode_ms, 1e-3)


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value

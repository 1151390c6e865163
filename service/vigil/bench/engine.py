"""Frames a second of the detector by batch and input size, ours and other runtimes side by side."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from vigil.data import U8
from vigil.engine.precision import probe_pictures
from vigil.engine.rivals import Contestant, contestants
from vigil.vision.manifest import load_manifest

ROUNDS = 5
_WARM_UP = 3
_ROUND_S = 0.4


@dataclass(frozen=True, slots=True)
class Figure:
    """How fast one contestant was, over rounds that it shared with the others."""

    name: str
    precision: str
    batch: int
    input_hw: tuple[int, int]
    threads: int
    ms: float  # a frame: the median round
    best_ms: float
    cpu_ms: float

    @property
    def fps(self) -> float:
        """Frames a second."""
        return 1000.0 / self.ms

    def as_json(self) -> dict[str, object]:
        """For --json."""
        return {**asdict(self), "fps": round(self.fps, 1)}


def measure(
    model: str,
    *,
    batches: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    threads: int,
    compiled: bool,
) -> list[Figure]:
    """Measure every contestant at every batch size and input size (height, width); empty: the model's."""
    manifest = load_manifest(model)
    figures: list[Figure] = []
    for height_px, width_px in sizes or [manifest.input_hw]:
        sized = replace(manifest, input_height_px=height_px, input_width_px=width_px)
        for count in batches:
            batch = _pictures(count, height_px, width_px)
            figures += _compete(
                list(contestants(sized, batch, threads=threads, compiled=compiled)),
                input_hw=(height_px, width_px),
                batch=count,
                threads=threads,
            )
    return figures


def advantage(figures: Sequence[Figure], *, precision: str, over: str = "OpenVINO") -> float | None:
    """How many times as fast our fastest form is as the fastest of another's, at one precision."""
    own = [f.ms for f in figures if f.precision == precision and f.name.startswith("vigil")]
    theirs = [f.ms for f in figures if f.precision == precision and f.name.startswith(over)]
    return round(min(theirs) / min(own), 3) if own and theirs else None


def _compete(
    contestants: list[Contestant], *, input_hw: tuple[int, int], batch: int, threads: int
) -> list[Figure]:
    """Rounds in turn, so that what disturbs the machine disturbs all."""
    for contestant in contestants:
        for _ in range(_WARM_UP):
            contestant.run()
    wall: list[list[float]] = [[] for _ in contestants]
    cpu: list[list[float]] = [[] for _ in contestants]
    for _ in range(ROUNDS):
        for index, contestant in enumerate(contestants):
            frames, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - began_s < _ROUND_S:
                contestant.run()
                frames += contestant.frames
            wall[index].append((time.perf_counter() - began_s) / frames * 1000)
            cpu[index].append((time.process_time() - began_cpu_s) / frames * 1000)
    return [
        Figure(
            name=contestant.name,
            precision=contestant.precision,
            batch=batch,
            input_hw=input_hw,
            threads=threads,
            ms=round(statistics.median(wall[index]), 3),
            best_ms=round(min(wall[index]), 3),
            cpu_ms=round(statistics.median(cpu[index]), 3),
        )
        for index, contestant in enumerate(contestants)
    ]


def _pictures(count: int, height_px: int, width_px: int) -> U8:
    pictures = probe_pictures(height_px, width_px)
    return np.ascontiguousarray(pictures[np.arange(count) % len(pictures)])

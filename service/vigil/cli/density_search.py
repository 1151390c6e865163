"""Density measured step by step, and told of on the console while it is."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vigil.bench.alone import Alone, measure_alone
from vigil.bench.density import FIRST, Step, find_most, measure_step
from vigil.bench.density_report import DensityReport
from vigil.bench.profile import Profile

ALONE_S = 8.0
LIKELY_RATIO = 0.8  # of the bound: where the search begins


@dataclass(frozen=True, slots=True)
class DensitySearch:
    """What is measured, whatever the model."""

    profile: Profile
    clip: Path
    classifier: str
    bound: bool
    console: Console

    def report(self, model: str, *, streams: int | None, seconds: float) -> DensityReport:
        """Measure one number of streams, or search for the largest that holds."""
        cores = len(os.sched_getaffinity(0))
        if streams is not None:
            steps, at_first = [self._measure(model, streams, seconds)], None
            self._tell(steps[0])
        else:
            at_first = self._alone(model, FIRST)
            steps = find_most(
                lambda count: self._measure(model, count, seconds),
                guess=round(at_first.bound(self.profile, cores=cores) * LIKELY_RATIO),
                tell=self._tell,
            )
        held = max((step.streams for step in steps if step.holds), default=0)
        return DensityReport(
            profile=self.profile,
            model=model,
            cores=cores,
            steps=steps,
            alone=self._alone(model, held) if held and self.bound else None,
            alone_first=at_first,
        )

    def _measure(self, model: str, streams: int, seconds: float) -> Step:
        with self.console.status(f"{streams} streams with {model} for {seconds:g} s …"):
            return measure_step(
                self.profile,
                self.clip,
                streams=streams,
                seconds=seconds,
                model=model,
                classifier=self.classifier,
                log_path=Path(tempfile.gettempdir()) / "vigil-density.log",
            )

    def _alone(self, model: str, streams: int) -> Alone:
        with self.console.status(f"the parts alone, {streams} streams with {model} …"):
            return measure_alone(
                self.profile, self.clip, streams=streams, seconds=ALONE_S, model=model
            )

    def _tell(self, step: Step) -> None:
        verdict = "[green]holds[/green]" if step.holds else "[red]too many[/red]"
        self.console.print(
            f"{step.streams:4d} streams  {verdict}  analysed {step.analysed_share:.2%}  "
            f"p50 {step.p50_ms} ms  p95 {step.p95_ms} ms  cores {step.cpu_share}"
        )

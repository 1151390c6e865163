"""How fast a run is, by the clock and by the processor's time, and when its checkpoint is due."""

import time
from dataclasses import dataclass

_CHECKPOINT_EVERY_S = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; given to whoever shows it."""

    step: int
    total_steps: int
    stage: str
    loss: float
    images_per_s: float
    images_per_cpu_s: float  # what it would be, had it the cores for itself, a core
    seconds_left: float


class Watch:
    """Counts pictures. Called by one worker at a time."""

    def __init__(self, *, first_step: int, total_steps: int) -> None:
        self._first_step = first_step
        self._total_steps = total_steps
        self._began_s = self._saved_s = self._marked_s = time.monotonic()
        self._marked_cpu_s = time.process_time()
        self._since_mark = 0

    def count(self, images: int) -> None:
        """So many pictures were used."""
        self._since_mark += images

    def progress(self, step: int, stage: str, loss: float) -> Progress:
        """The state at a step, with speeds since the last time that this was asked."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        speed = self._since_mark / max(now_s - self._marked_s, 1e-6)
        cpu_speed = self._since_mark / max(cpu_s - self._marked_cpu_s, 1e-6)
        self._marked_s, self._marked_cpu_s, self._since_mark = now_s, cpu_s, 0
        per_step_s = (now_s - self._began_s) / max(1, step - self._first_step)
        return Progress(
            step=step,
            total_steps=self._total_steps,
            stage=stage,
            loss=loss,
            images_per_s=speed,
            images_per_cpu_s=cpu_speed,
            seconds_left=per_step_s * (self._total_steps - step),
        )

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is old; if so, one is made now."""
        now_s = time.monotonic()
        if now_s - self._saved_s < _CHECKPOINT_EVERY_S:
            return False
        self._saved_s = now_s
        return True

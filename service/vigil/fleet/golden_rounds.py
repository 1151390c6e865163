"""When golden clips are played, and what becomes of their figures."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

import structlog

from vigil.clock import Clock
from vigil.config import GoldenConfig
from vigil.errors import VigilError
from vigil.fleet.golden import GoldenClip, Interrupted, PlayedClip, VirtualCamera
from vigil.fleet.golden_judge import Judge

log = structlog.get_logger()

POSTPONED_S = 5.0  # how soon it is asked again whether there is spare capacity
INTERRUPTED_S = 60.0  # and how soon a round is tried again that did not get enough of it
RoundOutcome: TypeAlias = Literal["scored", "postponed", "interrupted", "failed"]


class AccuracyObserver(Protocol):
    """Who is told what golden clips come to: the metrics."""

    def on_golden_clip(self, clip: str, played_at_s: float) -> None:
        """A clip was played whole; UTC seconds."""

    def on_golden_round(self, outcome: RoundOutcome) -> None:
        """A round is over."""

    def on_accuracy(self, source: str, figures: Sequence[tuple[str, str, float]]) -> None:
        """The figures of a source, as (metric, class, value), instead of those before."""


class GoldenRounds:
    """Plays every clip one after the other, has them judged, begins again after the interval.

    A round counts only as a whole: else its figures would change with the clips that were played.
    """

    def __init__(
        self,
        config: GoldenConfig,
        *,
        camera: VirtualCamera,
        judge: Judge,
        spare: Callable[[], bool],
        observer: AccuracyObserver,
        clock: Clock,
    ) -> None:
        """``spare`` says whether the machine has capacity that no camera wants."""
        self._config = config
        self._camera = camera
        self._judge = judge
        self._spare = spare
        self._observer = observer
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled. Whatever fails is logged and counted, and tried again."""
        wait_s = self._config.first_after_s
        while True:
            await asyncio.sleep(wait_s)
            outcome = await self._round()
            self._observer.on_golden_round(outcome)
            soonest_s = {"postponed": POSTPONED_S, "interrupted": INTERRUPTED_S}
            wait_s = min(self._config.interval_s, soonest_s.get(outcome, math.inf))

    async def _round(self) -> RoundOutcome:
        if not self._spare():
            return "postponed"
        try:
            played = [await self._play(clip) for clip in await self._judge.clips()]
            figures = await self._judge.figures(tuple(played))
        except Interrupted as error:
            log.warning("golden_round_interrupted", error=str(error))
            return "interrupted"
        except VigilError as error:
            log.error("golden_round_failed", error=str(error))
            return "failed"
        except Exception:  # measuring must not end what is measured
            log.exception("golden_round_failed")
            return "failed"
        self._observer.on_accuracy("golden", figures)
        log.info("golden_round", clips=len(played), figures=len(figures))
        return "scored"

    async def _play(self, clip: GoldenClip) -> PlayedClip:
        played = await self._camera.play(clip)
        self._observer.on_golden_clip(clip.name, self._clock.utc_s())
        return played

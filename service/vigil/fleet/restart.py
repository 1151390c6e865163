"""How soon a child that died is started again."""

from vigil.clock import Clock
from vigil.fleet.settings import FleetSettings

STORM_DEATHS = 5  # in a row: the waits between them are 3 s and more from here on


class RestartDelay:
    """At once at first, doubling while it keeps dying, from the start again after a calm while."""

    def __init__(self, settings: FleetSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._deaths = 0
        self._started_s = 0.0

    def started(self) -> None:
        """The child was started."""
        self._started_s = self._clock.monotonic_s()

    @property
    def storming(self) -> bool:
        """Whether the child keeps dying: it is started rarely, and what it does is not done."""
        calm = self._clock.monotonic_s() - self._started_s >= self._settings.calm_s
        return self._deaths >= STORM_DEATHS and not calm

    def next_s(self) -> float:
        """The wait after one more death."""
        settings = self._settings
        if self._clock.monotonic_s() - self._started_s >= settings.calm_s:
            self._deaths = 0
        delay_s = min(settings.restart_longest_s, settings.restart_first_s * 2.0**self._deaths)
        self._deaths = min(self._deaths + 1, 16)
        return delay_s

"""What golden clips come to, for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

ROUND_OUTCOMES = ("scored", "postponed", "interrupted", "failed")


class AccuracyMetrics:
    """Observes golden rounds (`vigil.fleet.golden_rounds.AccuracyObserver`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accuracy = Gauge(
            "vigil_accuracy",
            "Accuracy on labelled clips that were played through the live path.",
            ("source", "metric", "class"),
            registry=registry,
        )
        self._last_run = Gauge(
            "vigil_golden_clip_last_run_timestamp_seconds",
            "When a golden clip was last played whole.",
            ("clip",),
            registry=registry,
        )
        self._interval = Gauge(
            "vigil_golden_interval_seconds",
            "From one round of golden clips to the next; 0 where none are played.",
            registry=registry,
        )
        self._rounds = Counter(
            "vigil_golden_rounds",
            "Rounds of golden clips, and how they went.",
            ("outcome",),
            registry=registry,
        )
        for outcome in ROUND_OUTCOMES:
            self._rounds.labels(outcome)
        self._shown: dict[str, set[tuple[str, str, str]]] = {}

    def on_golden_interval(self, interval_s: float) -> None:
        """Golden clips are played, so often."""
        self._interval.set(interval_s)

    def on_golden_clip(self, clip: str, played_at_s: float) -> None:
        """A clip was played whole; UTC seconds."""
        self._last_run.labels(clip).set(played_at_s)

    def on_golden_round(self, outcome: str) -> None:
        """A round is over."""
        self._rounds.labels(outcome).inc()

    def on_accuracy(self, source: str, figures: Sequence[tuple[str, str, float]]) -> None:
        """The figures of a source, as (metric, class, value), instead of those before."""
        shown = {(source, metric, name) for metric, name, _ in figures}
        for gone in self._shown.get(source, set()) - shown:
            self._accuracy.remove(*gone)
        for metric, name, value in figures:
            self._accuracy.labels(source, metric, name).set(value)
        self._shown[source] = shown

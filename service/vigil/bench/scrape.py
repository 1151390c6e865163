"""Reading a service's own metrics, as Prometheus would."""

import urllib.request
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

SCRAPE_TIMEOUT_S = 10.0


class Scrape:
    """One reading of /metrics."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    @classmethod
    def of(cls, address: str) -> "Scrape":
        """Read the metrics of the service whose HTTP server listens there."""
        with urllib.request.urlopen(
            f"http://{address}/metrics", timeout=SCRAPE_TIMEOUT_S
        ) as answer:
            return cls(answer.read().decode())

    def total(self, name: str, **labels: str) -> float:
        """The sum of a series over all labels but those given."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums of a series by one label."""
        sums: dict[str, float] = {}
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                key = sample.labels.get(label, "")
                sums[key] = sums.get(key, 0.0) + sample.value
        return sums

    def mean_s(self, histogram: str, **labels: str) -> float | None:
        """The mean of a histogram; None where nothing was observed."""
        count = self.total(f"{histogram}_count", **labels)
        return self.total(f"{histogram}_sum", **labels) / count if count else None


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of all are at most; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered)) - 1))]

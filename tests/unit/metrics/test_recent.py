import math

import pytest

from vigil.metrics.recent import Recent, quantile

INF = math.inf


@pytest.mark.parametrize(
    ("share", "buckets", "expected"),
    [
        (0.95, {}, None),
        (0.95, {0.1: 0.0, INF: 0.0}, None),
        (0.5, {0.1: 10.0, INF: 10.0}, 0.05),
        (0.95, {0.1: 90.0, 0.2: 100.0, INF: 100.0}, 0.15),
        (0.95, {0.1: 50.0, 0.2: 50.0, 0.4: 100.0, INF: 100.0}, 0.38),
        (0.95, {0.1: 50.0, 0.2: 60.0, INF: 100.0}, 0.2),  # beyond the last bound: at least that
    ],
)
def test_a_quantile_is_as_prometheus_has_it(
    share: float, buckets: dict[float, float], expected: float | None
) -> None:
    assert quantile(share, buckets) == (None if expected is None else pytest.approx(expected))


def test_what_came_before_the_window_counts_no_more() -> None:
    recent = Recent(300.0)
    assert recent.quantile(0.5, {1.0: 100.0, 2.0: 100.0, INF: 100.0}, 0.0) == (0.5, 0.0)
    assert recent.quantile(0.5, {1.0: 100.0, 2.0: 200.0, INF: 200.0}, 10.0) == (1.0, 0.0)
    for at_s in range(20, 400, 10):
        recent.quantile(0.5, {1.0: 100.0, 2.0: 200.0, INF: 200.0}, float(at_s))
    value, window_s = recent.quantile(0.5, {1.0: 100.0, 2.0: 300.0, INF: 300.0}, 400.0)
    assert value == pytest.approx(1.5)
    assert 300.0 <= window_s <= 310.0

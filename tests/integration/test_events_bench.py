"""The events bench measures what it says, on a small load."""

import json
from pathlib import Path

from vigil.bench import events


def test_the_bench_gives_plain_figures(tmp_path: Path) -> None:
    result = events.run(
        events=600, streams=4, append_events=50, appenders=3, paced_hz=(200.0,), paced_s=0.2,
        directory=tmp_path,
    )  # fmt: skip
    assert json.loads(json.dumps(result)) == result
    assert result["raw_pipelined_xadd"]["published_hz"] > 0
    durable = result["durable"]
    assert 0 < durable["published_hz"] <= durable["committed_hz"]
    assert 0 < durable["commit_p50_s"] <= durable["commit_p99_s"]
    (paced,) = result["paced"]
    assert paced["measured"] == 40
    assert 0 < paced["latency_p50_s"] <= paced["latency_p95_s"] <= paced["latency_p99_s"]
    assert list(tmp_path.iterdir()) == []

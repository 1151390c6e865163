"""Lines of logs: their form, what they carry, and that repeats do not fill a disk."""

import json
import subprocess
import sys

import pytest
import structlog

from vigil.logs import MOST_REPEATS, RepeatLimit


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def passed(limit: RepeatLimit, count: int, **fields: object) -> list[dict[str, object]]:
    """What is left of so many lines of one kind."""
    kept = []
    for _ in range(count):
        try:
            kept.append(dict(limit(None, "warning", {"event": "offline", **fields})))
        except structlog.DropEvent:
            continue
    return kept


def test_repeats_are_left_out_and_counted_in_the_next_window() -> None:
    clock = Clock()
    limit = RepeatLimit(clock=clock)
    assert len(passed(limit, 1000, stream_id="gate")) == MOST_REPEATS
    clock.now_s += 61
    (line,) = passed(limit, 1, stream_id="gate")
    assert line["left_out"] == 1000 - MOST_REPEATS
    (line,) = passed(limit, 1, stream_id="gate")
    assert "left_out" not in line


def test_another_stream_or_reason_is_another_kind() -> None:
    limit = RepeatLimit(most=1, clock=Clock())
    for fields in ({"stream_id": "a"}, {"stream_id": "b"}, {"stream_id": "a", "reason": "auth"}):
        assert len(passed(limit, 5, **fields)) == 1


def test_what_is_critical_is_never_left_out() -> None:
    limit = RepeatLimit(most=1, clock=Clock())
    for _ in range(5):
        limit(None, "critical", {"event": "crashed"})


def test_hostile_kinds_do_not_fill_the_memory() -> None:
    limit = RepeatLimit(clock=Clock())
    for index in range(10_000):
        passed(limit, 1, stream_id=f"s{index}")
    assert len(limit._windows) == 2000


CHILD = """
import structlog, sys
from vigil.ipc.child import become_child
become_child("host", "json", sys.argv[1])
structlog.contextvars.bind_contextvars(stream_id="gate", run=3)
log = structlog.get_logger()
log.debug("quiet")
for _ in range(50):
    log.warning("offline", detail="rtsp://u:hunter2@h/")
try:
    1 / 0
except ZeroDivisionError:
    secret = "local value"
    log.exception("failed")
raise SystemExit(0)
"""


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_childs_lines_are_json_with_stream_and_run(level: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, level], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(lines) == MOST_REPEATS + 1 + (level == "debug")
    for line in lines:
        assert line["process"] == "host"
        assert (line["stream_id"], line["run"]) == ("gate", 3)
        assert {"timestamp", "level", "event"} <= set(line)
    assert "ZeroDivisionError" in str(lines[-1]["exception"])
    assert "hunter2" not in done.stderr
    assert "local value" not in done.stderr

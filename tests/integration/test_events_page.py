"""The consumer of docs/events.md, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.site import MARKER
from tests.support.videos import Clips

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
pytestmark = pytest.mark.timeout(90)


def consume(folder: Path, count: int) -> list[str]:
    """Its first lines; then it is killed, as a machine that loses its power."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", block], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as consumer:
        assert consumer.stdout is not None
        lines = [consumer.stdout.readline() for _ in range(count)]
        consumer.kill()
    return lines


def test_the_page_s_consumer_goes_on_where_it_was_killed(
    site: Any, clips: Clips, tmp_path: Path
) -> None:
    socket = tmp_path / "state" / "redis" / "redis.sock"
    socket.parent.mkdir(parents=True)
    socket.symlink_to(urlsplit(site.redis.url).path)
    site.add("gate", clips.short.as_uri(), detect_fps=25, rules=[MARKER])
    site.wait_marks("gate", 1)
    first, second = consume(tmp_path, 5), consume(tmp_path, 5)
    times = [line.split()[0] for line in [*first, *second] if line.split()[1] == "gate"]
    assert all("marker new" in line for line in first)
    assert times == sorted(times)
    assert second[-1] not in first

"""A real Prometheus with our configuration, and what our dashboards ask it."""

import json
import math
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.ports import held_port
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
VARIABLES = {"$__rate_interval": "10s", "$stream_id": "gate"}


def why_not() -> str:
    """What is missing for it on this machine; empty if nothing is."""
    if shutil.which("prometheus") is None:
        return "needs Prometheus, from Debian's package prometheus (.ci/run installs it)"
    return ""


class Prometheus:
    """The binary with our configuration, but asking one target every second and waiting 2 s at most."""

    def __init__(self, folder: Path, *, target: str) -> None:
        self._folder = folder
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""

    def __enter__(self) -> Self:
        for file in ("prometheus.yml", "recording.yml", "alerts.yml"):
            text = (
                (DEPLOY / "prometheus" / file).read_text().replace("127.0.0.1:9464", self._target)
            )
            text = re.sub(r"_interval: 15s|_timeout: 10s", lambda m: m[0].split()[0] + " 1s", text)
            (self._folder / file).write_text(re.sub(r"for: \d+m", "for: 2s", text))
        with held_port() as port, (self._folder / "prometheus.log").open("wb") as log:
            self._address = f"127.0.0.1:{port}"
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._address}",
                ],
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
            until(self._ready, timeout_s=60, what="Prometheus")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now; what Prometheus says of a wrong one is raised."""
        return self._ask("query", expression)

    def query_range(
        self, expression: str, *, start_s: float, end_s: float, step_s: float
    ) -> list[dict[str, Any]]:
        """The series that an expression gives over a time."""
        return self._ask("query_range", expression, start=start_s, end=end_s, step=step_s)

    def _ask(self, kind: str, expression: str, **more: float) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expression, **more})
        try:
            with urllib.request.urlopen(self._url(f"/api/v1/{kind}?{query}"), timeout=20) as answer:
                return list(json.load(answer)["data"]["result"])
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expression}: {json.load(error)['error']}") from None

    def numbers(self, expression: str) -> list[float]:
        values = [float(series["value"][1]) for series in self.query(expression)]
        return [value for value in values if math.isfinite(value)]

    def _url(self, path: str) -> str:
        return f"http://{self._address}{path}"

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
        try:
            with urllib.request.urlopen(self._url("/-/ready"), timeout=5):
                return True
        except OSError:
            return False


def filled_in(expression: str) -> str:
    """A query as Grafana would send it, variables replaced."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def queries(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Title and expression of each query of each panel."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])

"""Dashboards and alerts, asked of a real Prometheus that scrapes a running vigil."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.http_camera import mjpeg_camera
from tests.support.site import MARKER
from tests.support.videos import Clips, write_clip
from tests.support.waiting import until
from vigil.v1 import events_pb2

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
VARIABLES = {"$__rate_interval": "10s", "$stream_id": "gate"}
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        shutil.which("prometheus") is None,
        reason="needs Prometheus, from Debian's package prometheus (.ci/run installs it)",
    ),
]


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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        with (self._folder / "prometheus.log").open("wb") as log:
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
        until(self._ready, timeout_s=30, what="Prometheus")
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
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(self._url(f"/api/v1/query?{query}"), timeout=10) as answer:
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


def queries(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Title and expression of each query of each panel, variables replaced."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


ALL = [(file.stem, *query) for file in DASHBOARDS for query in queries(file)]


@pytest.fixture(scope="module")
def shared_site(
    open_site: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A site of its own: with a golden clip, whose labels are what the grid model says, and more."""
    folder = tmp_path_factory.mktemp("golden")
    write_clip(folder / "clip.mp4", frames=150)
    rows = [f"{n},{i + 1},{i * 100},10,60,80,1,1,1" for n in range(1, 151) for i in range(3)]
    (folder / "clip.mot.txt").write_text("\n".join(rows))
    crossings = [f"{n / 10} line.cross across left" for n in range(1, 50, 2)]
    (folder / "clip.events.txt").write_text("\n".join(["line across 0,0.5 1,0.5", *crossings]))
    settings = {
        "VIGIL_GOLDEN__ENABLED": "true",
        "VIGIL_GOLDEN__FIRST_AFTER_S": "0",
        "VIGIL_GOLDEN__FOLDER": str(folder),
    }
    with open_site(**settings) as site:
        yield site


@pytest.fixture(scope="module")
def prometheus(
    shared_site: Any, clips: Clips, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    site = shared_site
    site.add("gate", clips.long.as_uri(), source_loop=True, detect_fps=10, rules=[MARKER])
    (mark,) = site.wait_marks("gate", 1)
    verdict = events_pb2.Verdict(episode_id=mark.episode_id, value=events_pb2.Verdict.CORRECT)
    site.events.ReportVerdict(events_pb2.ReportVerdictRequest(verdict=verdict), timeout=10)
    with Prometheus(folder, target=site.vigil.addresses.http) as prometheus:
        until(
            lambda: prometheus.numbers(
                "increase(vigil_latency_seconds_count[10s]) > 0 and on()"
                ' count_over_time(vigil_frames_read_total{stream_id="gate"}[1m]) >= 5'
                " and on() instance:vigil_latency_late:ratio_rate6h and on() vigil_accuracy"
            ),
            timeout_s=90,
            what="five scrapes, a round of rules and one of golden clips",
        )
        yield prometheus
    site.remove_all()


@pytest.mark.parametrize(("dashboard", "title", "expression"), ALL)
def test_a_panel_shows_something(
    prometheus: Prometheus, shared_site: Any, dashboard: str, title: str, expression: str
) -> None:
    assert "$" not in expression, "a variable that the test does not know"

    def shown() -> list[float]:
        shared_site.get("gate")  # panels of calls want calls
        return prometheus.numbers(expression)

    until(shown, timeout_s=20, what=f"{dashboard}, {title}: {expression}")


def test_an_unplugged_camera_raises_its_alert_and_no_other(
    prometheus: Prometheus, shared_site: Any
) -> None:
    with mjpeg_camera() as camera:
        shared_site.add("porch", camera.url, detect_fps=5)
        shared_site.wait_online("porch")
        analysed = 'vigil_frames_total{stream_id="porch", outcome="analysed"}'
        until(lambda: prometheus.numbers(f"increase({analysed}[10s]) > 0"), timeout_s=20)
        assert prometheus.query("ALERTS") == []
    until(
        lambda: prometheus.query('ALERTS{alertname="VigilCameraDown", alertstate="firing"}'),
        timeout_s=40,
        what="the alert",
    )
    firing = [series["metric"] for series in prometheus.query('ALERTS{alertstate="firing"}')]
    assert [(one["alertname"], one["stream_id"]) for one in firing] == [
        ("VigilCameraDown", "porch")
    ]

"""Dashboards and alerts, asked of a real Prometheus that scrapes a running vigil."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.http_camera import mjpeg_camera
from tests.support.prometheus import DASHBOARDS, Prometheus, queries, why_not
from tests.support.site import MARKER
from tests.support.videos import Clips, write_clip
from tests.support.waiting import until
from vigil.v1 import events_pb2, rules_pb2

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


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
    health = rules_pb2.CameraHealthRule(checks=[rules_pb2.CameraHealthRule.DARK])
    things = rules_pb2.StationaryRule()
    things.duration.FromSeconds(600)
    rules = [
        MARKER,
        rules_pb2.Rule(rule_id="camera", camera_health=health),
        rules_pb2.Rule(rule_id="things", stationary=things),
    ]
    site.add("gate", clips.long.as_uri(), source_loop=True, detect_fps=10, rules=rules)
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

"""Prometheus' rules: promtool accepts them, each alert fires and stays silent, each metric exists."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.metrics.test_exposition import Fleet
from vigil.metrics.exposition import render
from vigil.metrics.page import BUCKETS_S
from vigil.metrics.service import ServiceMetrics

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
ALERTS = re.findall(r"^ +- alert: (\w+)", (FOLDER / "alerts.yml").read_text(), re.MULTILINE)
ASKING = [
    FOLDER / "recording.yml",
    FOLDER / "alerts.yml",
    *sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")),
]
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="needs promtool, from Debian's package prometheus (.ci/run installs it)",
)


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def cases() -> Iterator[tuple[str, bool]]:
    """Every case of alerts_test.yml: the alert and whether it is to fire."""
    text = (FOLDER / "alerts_test.yml").read_text()
    for part in re.split(r"alertname: ", text)[1:]:
        name, expected = re.match(r"(\w+)", part), re.search(r"exp_alerts:( \[\])?", part)
        assert name is not None
        assert expected is not None
        yield name[1], expected[1] is None


@needs_promtool
def test_promtool_accepts_the_configuration() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "config", "--syntax-only", "prometheus.tls.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", "recording.yml", "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_alerts_fire_and_stay_silent_as_their_cases_say() -> None:
    done = promtool("test", "rules", "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stream:vigil_stream_pictures:bool == 0", "stream:vigil_stream_pictures:bool < 0"),
        (" unless vigil_events_dropped_total", " and vigil_events_dropped_total"),
        ("ratio_rate5m > 14.4", "ratio_rate5m < 14.4"),
    ],
)
def test_a_wrong_rule_is_caught(tmp_path: Path, right: str, wrong: str) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "prometheus")
    text = (folder / "alerts.yml").read_text()
    assert right in text
    (folder / "alerts.yml").write_text(text.replace(right, wrong))
    assert promtool("test", "rules", "alerts_test.yml", folder=folder).returncode != 0


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_firing_and_a_silent_case(alert: str) -> None:
    assert {fires for name, fires in cases() if name == alert} == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_paragraph_for_who_is_called(alert: str) -> None:
    assert f"runbook: docs/operating.md#{alert.lower()}\n" in (FOLDER / "alerts.yml").read_text()
    assert f"### {alert}\n" in (ROOT / "docs" / "operating.md").read_text()


@pytest.mark.parametrize("file", ASKING, ids=lambda file: file.name)
def test_what_is_asked_for_is_what_vigil_has(file: Path) -> None:
    metrics = ServiceMetrics()
    metrics.expose(Fleet())
    metrics.call_handled(service="vigil.v1.StreamService", method="X", code="OK", duration_s=0.01)
    page = render(metrics.registry).decode()
    had = {
        name
        for family in text_string_to_metric_families(page)
        for name in (family.name, f"{family.name}_total", *(s.name for s in family.samples))
    }
    asked = set(re.findall(r"(?<![\w:])(?:vigil|grpc)_\w+(?=\{)", file.read_text()))
    assert asked
    assert asked <= had


def test_the_objective_is_a_bucket() -> None:
    bounds = set(re.findall(r'le="([\d.]+)"', (FOLDER / "recording.yml").read_text()))
    assert bounds == {"0.25"}
    assert 0.25 in BUCKETS_S

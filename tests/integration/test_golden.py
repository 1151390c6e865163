"""Golden clips on a running service: the live path and the offline one give the same figures."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.processes import named
from tests.support.site import Samples
from tests.support.waiting import until
from vigil.cli import main
from vigil.scene.film import render_to_file
from vigil.scene.moving import Scene
from vigil.vision.manifest import default_models_dir

ROUNDS = "vigil_golden_rounds_total"
SOON = {"VIGIL_GOLDEN__ENABLED": "true", "VIGIL_GOLDEN__FIRST_AFTER_S": "0"}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of five seconds with exact truth."""
    folder = tmp_path_factory.mktemp("golden")
    scene = Scene(22, duration_s=5.0, fps=10.0, width_px=640, height_px=360, kind="plaza")
    render_to_file(scene, folder / "scene.mp4")
    return folder


@pytest.fixture(scope="module")
def golden_site(open_site: Callable[..., Any], golden_folder: Path) -> Iterator[Any]:
    settings = {
        **SOON,
        "VIGIL_GOLDEN__FOLDER": str(golden_folder),
        "VIGIL_GOLDEN__INTERVAL_S": "2",
        "VIGIL_MODEL__FOLDER": str(default_models_dir()),
        "VIGIL_MODEL__NAME": "vigil-det-n",
    }
    with open_site(**settings) as site:
        yield site


def rounds(site: Any, outcome: str) -> float:
    return float(site.scrape().value(ROUNDS, outcome=outcome))


def scored(site: Any, *, more_than: float = 0.0) -> Samples:
    """A scrape after so many rounds."""
    until(lambda: rounds(site, "scored") > more_than, timeout_s=120, what="a golden round")
    return site.scrape()


def test_live_figures_equal_offline_ones(golden_site: Any, golden_folder: Path) -> None:
    scrape = scored(golden_site)
    live = {
        (dict(labels)["metric"], dict(labels)["class"]): value
        for (name, labels), value in scrape.values.items()
        if name == "vigil_accuracy" and dict(labels)["source"] == "golden"
    }
    done = CliRunner().invoke(main, ["evaluate", "golden", "--clips", str(golden_folder), "--json"])
    assert done.exit_code == 0, done.output
    offline = json.loads(done.stdout)["accuracy"]
    wanted = {(metric, name) for metric, by_class in offline.items() for name in by_class}
    assert set(live) == wanted
    assert {"precision", "recall", "map50", "hota", "mota", "idf1"} <= {m for m, _ in wanted}
    for (metric, name), value in live.items():
        assert value == pytest.approx(offline[metric][name], abs=0.005), (metric, name)
    assert live["recall", "person"] > 0.5, "a detector that finds people"
    last_run = scrape.value("vigil_golden_clip_last_run_timestamp_seconds", clip="scene")
    started = scrape.value("process_start_time_seconds")
    assert last_run > started


def test_nobody_else_sees_a_golden_clip(golden_site: Any) -> None:
    scrape = scored(golden_site, more_than=rounds(golden_site, "scored"))
    assert golden_site.entries() == [], "its events are kept from the outbox"
    assert scrape.accounts() == {}
    assert scrape.value("vigil_outbox_events") == 0
    assert scrape.total("vigil_events_total") == 0


def test_a_host_that_dies_interrupts_a_round_and_the_next_one_counts(golden_site: Any) -> None:
    before = rounds(golden_site, "interrupted")
    decoded = golden_site.scrape().value("vigil_stage_seconds_count", stage="decode")

    def playing() -> bool:
        now = golden_site.scrape().value("vigil_stage_seconds_count", stage="decode")
        return bool(now > decoded)

    until(playing, timeout_s=60, what="the next round")
    (host,) = named(golden_site.vigil.pid, "vigil.host")
    os.kill(host, signal.SIGKILL)
    until(lambda: rounds(golden_site, "interrupted") > before, timeout_s=60, what="an interruption")


def test_clips_that_cannot_be_judged_are_said_to_be_so(
    open_site: Callable[..., Any], golden_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(golden_folder, tmp_path / "golden")
    (folder / "scene.truth.json").unlink()
    settings = {**SOON, "VIGIL_GOLDEN__FOLDER": str(folder), "VIGIL_GOLDEN__INTERVAL_S": "600"}
    with open_site(**settings) as site:
        until(lambda: rounds(site, "failed") == 1, timeout_s=60, what="a failed round")
        assert "holds no labelled clip" in site.log()
        assert site.scrape().total("vigil_accuracy") == 0

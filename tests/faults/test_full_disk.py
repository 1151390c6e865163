"""The disk of the state directory takes nothing more: events are lost and counted, all else goes on."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.errors import refusal
from tests.support.site import MARKER, Site
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.bench.embedded import EmbeddedVigil
from vigil.errors import Unavailable
from vigil.store.database import FILE_NAME

DEADLINE_S = 60.0
LEAST_LOST = 20


def limit_files(site: Site, size_bytes: int) -> None:
    """No file of the service may grow beyond this: writes fail, as on a disk that is full."""
    limits = (size_bytes, resource.RLIM_INFINITY)
    resource.prlimit(site.vigil.pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.planted(
    "vigil.events.outbox:Outbox.drop = lambda self, reason, events: None", caught="counted drops"
)
@pytest.mark.timeout(240)
def test_a_full_disk_loses_counted_events_and_nothing_else(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site() as site:
        # The short one begins a new run every two seconds, whose number must be on disk first.
        for stream_id, clip in (("long", clips.long), ("short", clips.short)):
            site.add(stream_id, clip.as_uri(), rules=[MARKER], source_loop=True, detect_fps=10)
            site.wait_marks(stream_id, 5, timeout_s=DEADLINE_S)
        before = site.scrape().accounts()["long"].outcomes["analysed"]
        limit_files(site, (site.vigil.state / f"{FILE_NAME}-wal").stat().st_size)

        def lost() -> float:
            return site.scrape().total("vigil_events_dropped_total", reason="storage")

        until(lambda: lost() > LEAST_LOST, timeout_s=20, what="counted drops")
        assert site.scrape().total("vigil_outbox_degraded") == 1
        assert "events are lost" in site.fetch("/healthz")
        until(
            lambda: site.scrape().accounts()["long"].outcomes["analysed"] > before + 20,
            timeout_s=DEADLINE_S,
            what="analysis that goes on",
        )
        code, text, _ = refusal(lambda: site.add("late", clips.long.as_uri()))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "disk" in text, "it says what to do"
        assert site.fetch_ready()

        limit_files(site, resource.RLIM_INFINITY)
        for stream_id in ("long", "short"):
            site.wait_marks(stream_id, 5, timeout_s=DEADLINE_S)
        until(
            lambda: not site.scrape().total("vigil_outbox_degraded"), what="the end of the trouble"
        )
        for account in site.scrape().accounts().values():
            assert account.balances
        dropped = int(lost())
        assert site.vigil.stop() == 0
        assert "Traceback" not in site.log()
        entries = site.entries("long")
        numbers = [entry.read().event_seq for entry in entries]
        gap = max(numbers) - len(numbers)
        assert gap > 0, "consumers see what was lost"
        print(
            f"{dropped} events lost, all counted; {gap} of one stream seen as a gap; nothing else"
        )


@pytest.mark.slow
@pytest.mark.planted(
    "vigil.logs:StandardError.write = lambda self, text: sys.stderr.write(text)",
    caught="ended by its log",
)
@pytest.mark.timeout(180)
def test_a_log_that_cannot_be_written_ends_nothing(models: Path, tmp_path: Path) -> None:
    settings = {"VIGIL_MODEL__FOLDER": str(models), "VIGIL_MODEL__NAME": "grid"}
    with Path("/dev/full").open("wb") as log:
        vigil = EmbeddedVigil(
            tmp_path / "state", redis_url="unix:///nowhere.sock", settings=settings, log=log
        )
        try:
            vigil.start()
        except Unavailable as error:
            raise AssertionError(f"ended by its log: {error}") from error
        assert vigil.stop() == 0

"""The machine's wall clock is set by an hour, forward and back, while cameras are watched."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.support.site import MARKER, Status, happened_s, is_online
from tests.support.videos import Clips
from vigil.v1 import rules_pb2
from vigil.v1.geometry_pb2 import Point

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
HOUR_S = 3600.0
FPS = 10.0
ZONE = rules_pb2.Rule(
    rule_id="all",
    zone=rules_pb2.ZoneRule(polygon=[Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]),
)


@pytest.mark.planted(
    # UTC is read anew for every frame
    "vigil.clock:Anchor.to_utc_s ="
    " lambda self, at_s: SystemClock().utc_s() + at_s - SystemClock().monotonic_s()",
    caught="leapt",
)
def test_a_wall_clock_that_is_set_changes_no_dwell_and_restarts_nothing(
    open_site: Callable[..., Any], clips: Clips, inject: Callable[..., None]
) -> None:
    """All of vigil's processes read a clock that is off by what a file says."""
    offset = clips.root / "clock-offset"  # where hosts, which are confined, may look
    offset.write_text("0")
    inject(
        "vigil.clock:SystemClock.utc_s = lambda self: original(self)"
        f" + float(open({str(offset)!r}).read() or 0)"
    )

    def set_clock(off_s: float) -> None:
        scratch = offset.with_suffix(".new")
        scratch.write_text(str(off_s))
        scratch.replace(offset)

    with open_site() as site:
        site.add("gate", clips.long.as_uri(), rules=[MARKER, ZONE], detect_fps=FPS)
        marks = site.wait_marks("gate", 20)
        for off_s in (HOUR_S, -HOUR_S, 0.0):
            set_clock(off_s)
            marks += site.wait_marks("gate", 20)
        assert is_online(site.get("gate"))
        site.wait("gate", lambda s: s.status.reason == Status.ENDED, timeout_s=60)
        events = site.listed("gate")
        steps_s = [happened_s(later) - happened_s(sooner) for sooner, later in pairwise(marks)]
        assert all(0 <= step_s < 60 for step_s in steps_s), (
            f"time leapt by {max(steps_s, key=abs):.0f} s"
        )
        times_s = [happened_s(event) for event in events if event.type == "marker"]
        (run,) = {event.run for event in events}
        entered = [happened_s(event) for event in events if event.type == "zone.enter"]
        left = [happened_s(event) for event in events if event.type == "zone.exit"]
        seen_s = max(times_s) - min(times_s)
        error_s = (left[0] - entered[0]) - seen_s
        print(
            f"clock ±1 h: a stay of {seen_s:.2f} s is told {error_s * 1000:+.0f} ms off, in run {run}"
        )
        assert entered
        assert len(left) == len(entered)
        assert abs(error_s) <= 2 / FPS + 0.04, "the dwell is wrong"
        assert site.get("gate").status.reconnects == 0
        assert site.scrape().total("vigil_process_restarts_total") == 0
        assert all(account.balances for account in site.scrape().accounts().values())

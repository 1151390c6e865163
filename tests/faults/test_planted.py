"""The planting of failures itself: what is taken out is gone, here and in every child."""

import subprocess
import sys
from random import Random

import pytest

from tests.faults.conftest import Planted
from vigil.data import OfflineReason
from vigil.host.backoff import Backoff

NO_WAIT = "vigil.host.backoff:Backoff.next_s = lambda self, reason: 0.0"
_CHILD = """
from random import Random
from vigil.host.backoff import Backoff
from vigil.data import OfflineReason
print(Backoff(Random()).next_s(OfflineReason.UNREACHABLE))
"""


@pytest.mark.planted(NO_WAIT, caught="no wait")
def test_what_is_taken_out_is_gone_in_this_process() -> None:
    assert Backoff(Random()).next_s(OfflineReason.UNREACHABLE) > 0, "no wait"


@pytest.mark.planted(NO_WAIT, caught="no wait")
def test_what_is_taken_out_is_gone_in_a_child() -> None:
    child = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, check=True)
    assert float(child.stdout) > 0, "no wait"


@pytest.mark.planted(
    "vigil.host.backoff:Backoff.next_s = lambda self, reason: original(self, reason) + 1000.0",
    caught="1000 s longer",
)
def test_an_order_knows_what_it_replaces() -> None:
    assert Backoff(Random()).next_s(OfflineReason.UNREACHABLE) < 1000, "1000 s longer"


def test_a_planted_failure_that_nobody_catches_is_a_failure() -> None:
    failure = Planted.of("vigil.clock:rfc3339 = None", caught="no time")
    with pytest.raises(pytest.fail.Exception, match="went unnoticed"):
        failure.judge(None)
    with pytest.raises(AssertionError, match="not for 'no time'"):
        failure.judge(AssertionError("something else"))
    failure.judge(AssertionError("there was no time left"))

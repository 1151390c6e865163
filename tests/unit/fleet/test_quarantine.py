"""Who is blamed for a host's death, and for how long a stream stays away."""

import subprocess
import sys

from tests.unit.fleet.test_book import Clock
from vigil.fleet.last_words import LastWords
from vigil.fleet.quarantine import FIRST_WAIT_S, FORGOTTEN_S, LONGEST_WAIT_S, Quarantine

_CRASH = """
import ctypes, faulthandler, sys, threading
faulthandler.enable(file=int(sys.argv[1]))
def crash():
    print(threading.get_ident(), flush=True)
    ctypes.string_at(0)
threading.Thread(target=threading.Event().wait, daemon=True).start()
threading.Thread(target=crash).start()
threading.Event().wait()
"""


def test_one_death_is_an_accident_and_the_next_ones_cost_more_and_more() -> None:
    quarantine = Quarantine(Clock())
    waits = [quarantine.blame("gate") for _ in range(8)]
    assert waits[:3] == [None, FIRST_WAIT_S, 2 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S
    assert quarantine.blame("other") is None
    assert quarantine.deaths("gate") == 8


def test_deaths_are_forgotten_and_forgiven() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    quarantine.blame("gate")
    clock.now_s += FORGOTTEN_S + 1
    assert quarantine.blame("gate") is None
    quarantine.forgive("gate")
    assert quarantine.blame("gate") is None


def test_a_crash_names_its_thread() -> None:
    words = LastWords("vigil-test-last-words")
    assert words.thread() == 0
    said = subprocess.run(
        [sys.executable, "-c", _CRASH, str(words.fd)], pass_fds=[words.fd], capture_output=True
    )
    assert said.returncode < 0
    assert words.thread() == int(said.stdout)
    words.close()

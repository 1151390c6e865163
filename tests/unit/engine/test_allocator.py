import subprocess
import sys

import pytest

# eight megabytes a round, as a batch's activations are: taken, written, and let go
ROUNDS = """
import resource, sys
import numpy as np
if "keep" in sys.argv:
    from vigil.engine.allocator import keep_memory
    keep_memory()
def touch():
    blocks = [np.ones(1 << 20, np.uint8) for _ in range(8)]
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str) -> int:
    """Page faults of twenty rounds in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_serves_the_next_batch_without_the_kernel() -> None:
    given_back = faults()
    assert given_back > 2000  # else glibc keeps it by itself, and there is nothing to set
    assert faults("keep") < given_back / 10

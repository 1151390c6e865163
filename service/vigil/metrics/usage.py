"""What a process has used, as the kernel counts it."""

import os
from pathlib import Path

_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def process_cpu_s(pid: int) -> float:
    """Processor time of a process so far, user and system. Raises OSError where it has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_HZ

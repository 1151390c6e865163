"""What the kernel says of a running service's processes: which there are, and what they hold."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_HZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds that must not grow."""

    descriptors: int
    memfds: int  # mapped segments of shared memory
    threads: int
    rss_bytes: int

    @classmethod
    def of(cls, pid: int) -> "Holdings":
        """What it holds now. Raises OSError where it has ended."""
        folder = _PROC / str(pid)
        return cls(
            descriptors=len(list((folder / "fd").iterdir())),
            memfds=(folder / "maps").read_text().count("/memfd:"),
            threads=len(list((folder / "task").iterdir())),
            rss_bytes=int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES,
        )


def processes(service_pid: int) -> dict[str, list[int]]:
    """Process ids by kind; the children of the service say on their command line what they are."""
    kinds: dict[str, list[int]] = {"service": [service_pid], "hosts": [], "engine": []}
    children = (_PROC / f"{service_pid}/task/{service_pid}/children").read_text().split()
    for pid in children:
        try:
            line = (_PROC / pid / "cmdline").read_bytes()
        except OSError:
            continue  # ended since it was listed
        if b"vigil.host" in line:
            kinds["hosts"].append(int(pid))
        elif b"vigil.engine" in line:
            kinds["engine"].append(int(pid))
    return kinds


def machine_cpu_s() -> float:
    """Processor time of all processes of the machine so far."""
    fields = (_PROC / "stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = (int(field) for field in fields)
    return (user + nice + system + irq + softirq) / _TICKS_HZ


def proportional_mib(pids: list[int]) -> float:
    """Proportional set size: pages that processes share count once."""
    total_kib = 0
    for pid in pids:
        for line in (_PROC / f"{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kib += int(line.split()[1])
    return round(total_kib / 1024, 1)

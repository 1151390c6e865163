"""What of this machine a host process can reach: what decoding and its sources need, and nothing else.

A camera that gets the better of a decoder finds no state folder (cameras' passwords, tokens), no secrets,
no keys, no configuration and no home directory, cannot leave anything behind and can signal nobody.
"""

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog

import vigil
from vigil.host import landlock

log = structlog.get_logger()

# The interpreter and its libraries; what name resolution, time zones and TLS read; what OpenCV, FFmpeg and
# OpenMP ask about the machine. /etc as a whole: a new resolv.conf is another file under the same name, and
# a rule is about the file that it was made for.
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/etc"),
    *("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/kernel"),
    *("/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom", "/dev/random"),
)
_DEVICES = ("/dev/null",)


def confine(roots: Sequence[str]) -> bool:
    """Keep this process to its sources' folders and the system's programs; says whether the kernel does.

    Call it while the process has one thread: Landlock restricts the thread that asks, and those that it
    starts.
    """
    own = [sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *vigil.__path__]
    own.append(str(Path(np.__file__).parents[1]))  # PYTHONPATH may have packages elsewhere
    readable = [Path(each) for each in (*_SYSTEM, *own, *roots)]
    try:
        confined = landlock.restrict(readable=readable, writable=[Path(each) for each in _DEVICES])
    except OSError as error:
        log.warning("host_not_confined", error=error.strerror)
        return False
    if not confined:
        log.info("host_not_confined", error="this kernel has no Landlock")
    return confined

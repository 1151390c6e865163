"""Checks of the machine: disk, clock, limits, ports, what its kernel lets a process do."""

import contextlib
import ctypes
import math
import os
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from vigil.config import MIB, Config, split_address
from vigil.doctor.finding import Finding, ok, problem, warning

LEAST_FREE_BYTES = 128 * MIB
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex; all zero: asks, sets nothing
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"})
_GONE_AT_BOOT = frozenset({"tmpfs", "ramfs", "overlay"})
# Measured: 42 descriptors of the service with two hosts, 15 of a host with three streams.
_SERVICE_DESCRIPTORS = 64
_DESCRIPTORS_A_HOST = 12
_HOST_DESCRIPTORS = 32
_DESCRIPTORS_A_STREAM = 4


def check_disk(config: Config) -> Iterator[Finding]:
    """Room for the event log, and a file system that keeps what is written."""
    folder = _existing(Path(config.state.path).absolute())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield problem(
            "disk",
            f"{folder} is no folder, or cannot be written by this user",
            "change its owner, run vigil as its owner, or set state.path",
        )
        return
    kind = file_system(folder)
    if kind in _REMOTE:
        yield problem(
            "disk",
            f"{folder} is on {kind}, where SQLite's locks do not hold",
            "set state.path to a folder on a disk of this machine",
        )
    elif kind in _GONE_AT_BOOT:
        yield warning(
            "disk",
            f"{folder} is on {kind}: streams and unsent events go with the machine or container",
            "set state.path to a folder on a disk, in a container to a volume",
        )
    free = shutil.disk_usage(folder).free
    held = sum(path.stat().st_size for path in folder.glob("vigil.sqlite3*"))
    said = f"{free / MIB:.0f} MiB free for {folder}"
    if free < LEAST_FREE_BYTES:
        yield problem("disk", said, "free space: without it events are lost")
    elif free + held < config.events.max_bytes:
        yield warning(
            "disk",
            f"{said}, and the event log may grow to {config.events.max_bytes / MIB:.0f} MiB",
            "free space, or lower events.max_bytes",
        )
    else:
        yield ok("disk", said)


def check_clock() -> Iterator[Finding]:
    """Whether events get the right time."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == -1:
        yield ok(
            "clock",
            f"the kernel does not say whether it is right ({os.strerror(ctypes.get_errno())})",
        )
    elif state == _TIME_ERROR:
        yield warning(
            "clock",
            "the kernel's clock is not synchronised: times of events may be wrong",
            "run chrony, systemd-timesyncd or ntpd, on the host of a container or virtual machine",
        )
    else:
        yield ok("clock", "synchronised")


def check_limits(config: Config) -> Iterator[Finding]:
    """File descriptors for all streams that are allowed."""
    hosts = math.ceil(config.hosts.max_streams / config.hosts.streams_per_host)
    needed = max(
        _SERVICE_DESCRIPTORS + _DESCRIPTORS_A_HOST * hosts + 2 * config.grpc.max_watchers,
        _HOST_DESCRIPTORS + _DESCRIPTORS_A_STREAM * config.hosts.streams_per_host,
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = (
        f"{soft} file descriptors a process, {config.hosts.max_streams} streams may need {needed}"
    )
    if soft != resource.RLIM_INFINITY and soft < needed:
        yield warning(
            "limits",
            said,
            f"raise the limit (ulimit -n {needed}, LimitNOFILE={needed}), or lower hosts.max_streams",
        )
    else:
        yield ok("limits", said)
    try:
        os.close(os.memfd_create("vigil-doctor"))
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        yield problem(
            "limits",
            f"shared memory or process descriptors are not allowed ({error.strerror})",
            "needs Linux 5.3 or newer, and a container profile that allows memfd_create and pidfd_open",
        )


def check_ports(config: Config, *, running: bool) -> Iterator[Finding]:
    """Whether the addresses can be listened on; a service that runs has them already."""
    for key, address in (
        ("grpc.address", config.grpc.address),
        ("http.address", config.http.address),
    ):
        host, port = split_address(address)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            with contextlib.closing(socket.socket(found[0][0])) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found[0][4])
        except OSError as error:
            if running:
                yield ok("ports", f"{key} {address} is in use, and a service runs from this state")
                continue
            yield problem(
                "ports",
                f"{key} {address} cannot be listened on ({error.strerror})",
                f"stop what has it (`ss -ltnp`), or set {key}",
            )
        else:
            yield ok("ports", f"{key} {address} is free")


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that a folder is on; empty where that cannot be told."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        _, point, found = line.split(" ")[:3]
        point = point.encode().decode("unicode_escape")  # a blank is \040
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


def _existing(path: Path) -> Path:
    """The path, or the nearest one above it that is there."""
    while not path.exists():
        path = path.parent
    return path.resolve()

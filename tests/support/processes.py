"""What the kernel says of processes: children, and what they hold."""

import contextlib
from pathlib import Path

from vigil.bench.processes import Holdings

__all__ = ["Holdings", "alive", "children", "descriptors", "named"]

_PROC = Path("/proc")


def children(pid: int) -> dict[int, str]:
    """The living and the dead, not yet buried children of a process: module or state by pid."""
    found = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # ended since it was listed
        if int(after_name[1]) != pid:
            continue
        module = words[words.index(b"-m") + 1].decode() if b"-m" in words else words[0].decode()
        found[int(folder.name)] = "zombie" if after_name[0] == "Z" else module
    return found


def named(pid: int, module: str) -> list[int]:
    """The children of a process that run a module."""
    return sorted(child for child, name in children(pid).items() if name == module)


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def descriptors() -> set[tuple[str, str]]:
    """This process's open files, each with what it is.

    Those of earlier tests may be closed at any time, by the collector of garbage: ask for what is new.
    """
    found = set()
    for each in (_PROC / "self" / "fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.add((each.name, str(each.readlink())))
    return found

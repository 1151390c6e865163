"""What a crashing host says: which of its threads crashed, and so which stream."""

import os
import re

_CRASHED = re.compile(rb"^Current thread 0x([0-9a-f]+)", re.MULTILINE)  # of Python's faulthandler
_MOST_BYTES = 2**20  # the stacks of all its threads


class LastWords:
    """A piece of memory that a child writes to as it crashes, read after its end."""

    def __init__(self, name: str) -> None:
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC)

    def thread(self) -> int:
        """The thread that crashed, as `threading.get_ident` names it; 0 where none says so."""
        found = _CRASHED.search(os.pread(self.fd, _MOST_BYTES, 0))
        return int(found.group(1), 16) if found else 0

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

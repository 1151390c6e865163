"""The way from a host to its sources: each connection and file is judged just before it is made."""

import ipaddress
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from vigil.errors import FieldViolation
from vigil.fleet.policy import SourcePolicy
from vigil.spec import Source

Connect: TypeAlias = Callable[[tuple[str, int], float], socket.socket]


class Refused(Exception):
    """The policy does not allow it. Nothing was sent. The text holds no part of the source's address."""


class Access:
    """What a policy lets a host reach. Any thread may use it."""

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy

    def check(self, source: Source) -> None:
        """Judge what a source's definition shows. Raises Refused."""
        for violation in self._policy.violations(source):
            raise Refused(violation.description)

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises Refused where any is not allowed, OSError if none is known."""
        problem = self._policy.networks.host_problem(host)
        if problem:
            raise Refused(problem)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        for address in addresses:
            problem = self._policy.networks.address_problem(ipaddress.ip_address(address))
            if problem:
                raise Refused(problem)
        return addresses

    def connect(self, place: tuple[str, int], timeout_s: float) -> socket.socket:
        """Connect to the first address that answers. Raises Refused, OSError."""
        host, port = place
        failure = OSError("the name has no address")
        for address in self.addresses(host, port):
            try:
                return socket.create_connection((address, port), timeout_s)
            except OSError as error:
                failure = error
        raise failure

    def path(self, uri: str) -> Path:
        """The file or folder that a URI names, symbolic links resolved. Raises Refused."""
        try:
            return self._policy.path(uri)
        except FieldViolation as violation:
            raise Refused(violation.description) from None

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """A descriptor of a regular file in a root, whatever the path's links are by now.

        Raises Refused, and OSError where it is no file that can be read.
        """
        resolved = path.resolve()
        if not self._policy.holds(resolved):
            raise Refused("a link leads outside the folders that sources.file_roots allows")
        # Not blocking: a FIFO would wait for a writer.
        fd = os.open(resolved, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError("is no regular file")
            if not self._policy.holds(Path(f"/proc/self/fd/{fd}").readlink()):
                raise Refused("the path was changed while it was opened")
            yield fd
        finally:
            os.close(fd)

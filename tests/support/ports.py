"""A port for a server that has to be told which one."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A free port of the loopback that nobody is given by chance until the context ends.

    It is bound and does not listen: on Linux a server that sets SO_REUSEADDR, as all do, may have it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])

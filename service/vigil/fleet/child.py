"""One child process and the conversation with it, on the service's event loop."""

import asyncio
import contextlib
import errno
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from vigil.config import LogConfig
from vigil.errors import InvalidConfig
from vigil.ipc.channel import Channel, ChannelClosed, Parcel, socket_pair

log = structlog.get_logger()

Sent = TypeVar("Sent", bound=msgspec.Struct)
Received = TypeVar("Received", bound=msgspec.Struct)

# What the service's environment holds for itself: its configuration, passwords that it was given.
_KEPT_BACK = re.compile(
    r"VIGIL_|OTEL_|.*(PASS(WORD|WD)?|SECRET|TOKEN|CREDENTIAL|API_?KEY)", re.IGNORECASE
)
MOST_UNSENT = 10_000  # messages; a child that takes none of so many hangs, and is killed


class Child(Generic[Sent, Received]):
    """A process started as ``python -m MODULE FD LOG_FORM LOG_LEVEL``; closing the socket ends it.

    ``take`` is called with every message; ``end`` once, with the exit status, after the last one. ``user``
    is whom it runs as; empty: as we do.
    """

    def __init__(
        self,
        module: str,
        receives: object,
        *,
        take: Callable[[Parcel[Received]], None],
        end: Callable[[int], None],
        user: str = "",
        log: LogConfig | None = None,
    ) -> None:
        self._user = user
        self._log = log or LogConfig()
        self._module = module
        self._receives = receives
        self._take = take
        self._end = end
        self._unsent: deque[tuple[Sent, tuple[int, ...], bytes]] = deque()
        self._channel: Channel[Sent, Received] | None = None
        self._theirs: socket.socket | None = None  # until the process has it
        self._process: asyncio.subprocess.Process | None = None
        self._pidfd: int | None = None  # names this process and no later one of the same id
        self._ended: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process's id; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def open(self) -> None:
        """Begin the conversation: what is sent from now on waits for the process, in order."""
        ours, self._theirs = socket_pair()
        ours.setblocking(False)
        self._channel = Channel(ours, self._receives)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read)

    async def start(self) -> None:
        """Start the process, in a session of its own: a terminal's signals are not for it.

        Raises OSError where the machine has no room for another; the conversation is then over.
        """
        assert self._theirs is not None, "open comes first"
        theirs, self._theirs = self._theirs, None
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module, str(theirs.fileno())),
                *(self._log.format, self._log.level),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=inherited(os.environ),
                **become(self._user),
                stdin=asyncio.subprocess.DEVNULL,
            )
        except BaseException:  # cancelled, too: a process that nobody waits for must meet the end
            self._close()
            raise
        finally:
            theirs.close()
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._pidfd = os.pidfd_open(self._process.pid)
        self._ended = asyncio.create_task(self._wait_for_end())

    def send(
        self, message: Sent, *, descriptors: tuple[int, ...] = (), payload: bytes = b""
    ) -> None:
        """Send, or queue where the child is slow to read. A message to a dead child is lost."""
        if self._channel is None:
            return
        if not self._unsent and self._send_now(message, descriptors, payload):
            return
        if self._channel is None:
            return
        if len(self._unsent) >= MOST_UNSENT:
            log.error("child_takes_nothing", module=self._module, pid=self.pid)
            self.kill()
            return
        kept = tuple(os.dup(fd) for fd in descriptors)
        self._unsent.append((message, kept, payload))
        asyncio.get_running_loop().add_writer(self._channel.fileno(), self._flush)

    def kill(self) -> None:
        """End the process at once.

        Not by asyncio's `kill`: it polls first, and may so take the exit status of a process that
        has just died from asyncio's own watcher, which then reports 255.
        """
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def stop(self, grace_s: float) -> None:
        """Wait for the end of a process that was told to stop; kill it when the grace is over."""
        if self._ended is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._ended), grace_s)
        except TimeoutError:
            log.warning("child_killed", module=self._module, pid=self.pid, grace_s=grace_s)
            self.kill()
            await self._ended

    async def _wait_for_end(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        try:
            self._read()  # what it said before it died
        finally:
            self._close()
            self._end(status)

    def _read(self) -> None:
        if self._channel is None:
            return
        try:
            parcels = self._channel.drain()
        except ChannelClosed:
            self._close()
            return
        for parcel in parcels:
            try:
                self._take(parcel)
            finally:
                parcel.close()

    def _send_now(self, message: Sent, descriptors: tuple[int, ...], payload: bytes) -> bool:
        assert self._channel is not None
        try:
            self._channel.send(message, descriptors=descriptors, payload=payload)
        except BlockingIOError:
            return False
        except ChannelClosed:
            self._close()
        return True

    def _flush(self) -> None:
        while self._unsent and self._channel is not None:
            message, descriptors, payload = self._unsent[0]
            if not self._send_now(message, descriptors, payload):
                return
            if self._unsent:  # else the child is gone, and `_close` has closed them all
                self._unsent.popleft()
                for fd in descriptors:
                    os.close(fd)
        if self._channel is not None:
            asyncio.get_running_loop().remove_writer(self._channel.fileno())

    def _close(self) -> None:
        if self._channel is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._channel.fileno())
        loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._channel = None
        for _, descriptors, _ in self._unsent:
            for fd in descriptors:
                os.close(fd)
        self._unsent.clear()


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what is ours alone: no child needs a password from there."""
    return {name: value for name, value in environ.items() if not _KEPT_BACK.match(name)}


def check_user(user: str) -> None:
    """Try whether children can run as a user, rather than start them in vain. Raises InvalidConfig."""
    if not user:
        return
    if os.geteuid() != 0:
        raise InvalidConfig("hosts.user: only root can start processes as another user")
    try:
        tried = [sys.executable, "-c", "import vigil"]
        subprocess.run(  # noqa: S603 - our own interpreter
            tried, check=True, capture_output=True, timeout=30, **become(user)
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "strerror", None) or "Python and vigil must be readable for that user"
        raise InvalidConfig(f"hosts.user: {user!r} cannot run {sys.executable}: {why}") from None


def become(user: str) -> dict[str, Any]:
    """What subprocess wants to start a process as another user; nothing where none is named.

    Raises OSError where there is no such user.
    """
    if not user:
        return {}
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.ENOENT, f"there is no user {user!r}") from None
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": ()}

"""A whole vigil in processes of its own, for the demo, the benchmarks and the tests."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from vigil.api.client import NOTHING, wait_serving
from vigil.api.login import Login
from vigil.app import ADDRESSES_FILE, Addresses
from vigil.errors import Unavailable

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.05


class EmbeddedVigil:
    """``vigil serve`` as a child, on free ports of the loopback, with its state in a given folder.

    Entering starts it and waits until its model is warm; leaving stops it in order. ``log`` takes what
    it writes on stderr; None: it goes where ours goes.
    """

    def __init__(
        self,
        state: Path,
        *,
        redis_url: str,
        file_roots: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
        log: IO[bytes] | None = None,
        login: Login = NOTHING,
        program: str = sys.executable,
    ) -> None:
        self._login = login
        self._program = program
        self.state = state
        self._log = log
        self._environment = {
            "VIGIL_STATE__PATH": str(state),
            "VIGIL_REDIS__URL": redis_url,
            "VIGIL_SOURCES__FILE_ROOTS": ":".join(str(root) for root in file_roots),
            "VIGIL_GRPC__ADDRESS": "127.0.0.1:0",
            "VIGIL_HTTP__ADDRESS": "127.0.0.1:0",
            # whatever a service of this machine is configured with by the environment
            **dict.fromkeys(("VIGIL_TLS__CERT", "VIGIL_TLS__KEY", "VIGIL_TLS__CLIENT_CA"), ""),
            "VIGIL_GOLDEN__ENABLED": "false",  # what is measured here is measured alone
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._addresses: Addresses | None = None

    @property
    def addresses(self) -> Addresses:
        """Where it listens. Raises Unavailable before it does."""
        if self._addresses is None:
            raise Unavailable("the embedded service has not been started")
        return self._addresses

    @property
    def pid(self) -> int:
        """The service's process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def ended(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the service and wait until it is ready. Raises Unavailable, with nothing left over."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / ADDRESSES_FILE).unlink(missing_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - an interpreter of ours
            [self._program, "-m", "vigil.cli", "serve"],
            env={**os.environ, **self._environment},
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._addresses = self._wait_listening()
            asyncio.run(
                wait_serving(self._addresses.grpc, timeout_s=START_TIMEOUT_S, login=self._login)
            )
        except BaseException:  # Ctrl-C, too: it is in a session of its own and would stay
            self.kill()
            raise

    def stop(self) -> int:
        """Ask for an orderly end and wait for it; returns the exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_listening(self) -> Addresses:
        path = self.state / ADDRESSES_FILE
        deadline_s = time.monotonic() + START_TIMEOUT_S
        assert self._process is not None
        while time.monotonic() < deadline_s:
            if path.is_file():
                return msgspec.json.decode(path.read_bytes(), type=Addresses)
            try:
                status = self._process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue
            raise Unavailable(f"the service ended with status {status}; see what it logged")
        raise Unavailable(f"the service did not listen in {START_TIMEOUT_S:g} s")

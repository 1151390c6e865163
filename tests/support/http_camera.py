"""Cameras that speak HTTP: motion JPEG, and whatever files a folder holds (HLS)."""

import base64
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import videos

_BOUNDARY = "frame"


class HttpServer:
    """A server on a free port of the loopback, on a thread of its own."""

    def __init__(
        self, handler: Callable[..., BaseHTTPRequestHandler], *, host: str = "127.0.0.1"
    ) -> None:
        self.stopping = threading.Event()
        self._server = _Server((host, 0), handler)
        self._server.stopping = self.stopping
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    stopping: threading.Event

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of a camera's."""


class _Mjpeg(BaseHTTPRequestHandler):
    """Ten pictures a second for as long as somebody reads."""

    def allowed(self) -> bool:
        return True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.end_headers()
        stopping = self.server.stopping  # type: ignore[attr-defined]
        index = 0
        while self.allowed() and not stopping.wait(0.1):
            picture = videos.jpeg(index)
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
            )
            self.wfile.write(f"{head}\r\n".encode() + picture + b"\r\n")
            index += 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


class _Locked(_Mjpeg):
    """Wants a Basic login."""

    login = ("", "")

    def allowed(self) -> bool:
        wanted = base64.b64encode(":".join(type(self).login).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def do_GET(self) -> None:
        if self.allowed():
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status = 404

    def do_GET(self) -> None:
        self.send_error(self.status)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


def mjpeg_camera() -> HttpServer:
    """A camera that sends motion JPEG."""
    return HttpServer(_Mjpeg)


class LockedCamera(HttpServer):
    """A camera that sends motion JPEG to one user, by name and password."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._handler = type("Locked", (_Locked,), {"login": login})
        super().__init__(self._handler)

    def change_login(self, login: tuple[str, str]) -> None:
        """Hangs up on whoever logged in with the one before."""
        self._handler.login = login


def file_server(folder: Path) -> HttpServer:
    """The files of a folder."""
    return HttpServer(partial(_Quiet, directory=str(folder)))


def refusing_camera(status: int) -> HttpServer:
    """A camera that answers with this status and nothing else."""
    return HttpServer(type("Refusing", (_Refusing,), {"status": status}))

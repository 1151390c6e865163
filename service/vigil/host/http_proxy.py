"""The way of FFmpeg's HTTP, HTTPS and RTSPS connections: a proxy in the host, which judges each one.

FFmpeg follows redirects and playlists by itself. Through the proxy each of its connections is resolved
here, once, and made to an address that was judged: what is refused gets 403, and no packet goes out.
"""

import errno
import os
import selectors
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

import structlog

from vigil.config import split_address
from vigil.host.access import Access, Refused

log = structlog.get_logger()

MOST_CONNECTIONS = 256  # at once; more are closed unanswered
MOST_HEAD_BYTES = 65536
IDLE_S = 60.0  # FFmpeg's own time-outs are shorter
PAUSE_S = 0.1  # after a connection that could not be taken
_CHUNK_BYTES = 65536
_HOP_BY_HOP = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive"})


class HttpProxy:
    """Listens on the loopback while it is entered, and tells FFmpeg through the environment."""

    def __init__(self, access: Access, *, connect_timeout_s: float) -> None:
        self._access = access
        self._connect_timeout_s = connect_timeout_s
        self._listener: socket.socket | None = None
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._closing = threading.Event()

    def __enter__(self) -> "HttpProxy":
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        os.environ["http_proxy"] = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        os.environ["no_proxy"] = ""
        threading.Thread(
            target=self._accept, args=(self._listener,), name="http-proxy", daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take no more connections; those that are open end with FFmpeg's captures."""
        assert self._listener is not None
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):
                    return  # it was closed
                log.error("proxy_cannot_accept", error=error.strerror)
                self._closing.wait(PAUSE_S)  # no descriptors at present, perhaps
                continue
            if not self._room.acquire(blocking=False):
                client.close()
                continue
            try:
                threading.Thread(
                    target=self._serve, args=(client,), name="http-relay", daemon=True
                ).start()
            except RuntimeError:  # no room for another thread at present
                self._room.release()
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(IDLE_S)
                self._relay(client)
        except OSError:
            pass  # either side went away: FFmpeg sees it, and so does the camera
        finally:
            self._room.release()

    def _relay(self, client: socket.socket) -> None:
        head, rest = _read_head(client)
        try:
            (host, port), request = _request(head)
            upstream = self._access.connect((host, port), self._connect_timeout_s)
        except ValueError:
            client.sendall(_answer(400))
            return
        except Refused as refused:
            log.warning("connection_refused_by_policy", why=str(refused))
            client.sendall(_answer(403))
            return
        except OSError:
            client.sendall(_answer(502))
            return
        with upstream:
            upstream.settimeout(IDLE_S)
            if request:
                upstream.sendall(request + rest)
            else:
                client.sendall(_answer(200))
            _pump(client, upstream)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received and len(received) < MOST_HEAD_BYTES:
        more = client.recv(_CHUNK_BYTES)
        if not more:
            break
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _request(head: bytes) -> tuple[tuple[str, int], bytes]:
    """Where a request goes and what is sent there; nothing for CONNECT. Raises ValueError."""
    first, *headers = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if method == "CONNECT":
        return split_address(target), b""
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("only absolute http addresses are relayed")
    kept = [line for line in headers if line.partition(":")[0].lower() not in _HOP_BY_HOP]
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    # One request a connection, so that the next one, perhaps for another host, is judged again.
    lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
    return (parts.hostname, parts.port or 80), "\r\n".join(lines).encode("latin-1")


def _pump(client: socket.socket, upstream: socket.socket) -> None:
    """Copy both ways until either side ends or both are silent."""
    others = {client: upstream, upstream: client}
    with selectors.DefaultSelector() as selector:
        for side in others:
            selector.register(side, selectors.EVENT_READ, data=side)
        while ready := selector.select(IDLE_S):
            for key, _ in ready:
                chunk = key.data.recv(_CHUNK_BYTES)
                if not chunk:
                    return
                others[key.data].sendall(chunk)


def _answer(status: int) -> bytes:
    more = "" if status == 200 else "Content-Length: 0\r\nConnection: close\r\n"
    return f"HTTP/1.1 {status} vigil\r\n{more}\r\n".encode()

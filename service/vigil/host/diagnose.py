"""Why a source did not open. OpenCV says only that it did not, so the source is asked once more."""

import http.client
import socket
import ssl
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from vigil.data import OfflineReason
from vigil.host.access import Connect, Refused
from vigil.host.rtsp_probe import AGENT, basic, describe, port_of
from vigil.spec import Source

PROBE_TIMEOUT_S = 3.0
MOST_REDIRECTS = 8  # as many as FFmpeg follows
_MOVED = frozenset({301, 302, 303, 307, 308})


def diagnose(
    source: Source,
    *,
    took_s: float,
    timeout_s: float,
    connect: Connect = socket.create_connection,
) -> tuple[OfflineReason, str]:
    """The reason and a sentence for people, by asking the source directly.

    ``took_s`` is how long opening took: as long as ``timeout_s`` means that nothing answered.
    """
    parts = urlsplit(source.uri)
    if parts.scheme == "file":
        return _diagnose_file(Path(unquote(parts.path)))
    try:
        status = (
            describe(source, connect, timeout_s=PROBE_TIMEOUT_S).status
            if parts.scheme.startswith("rtsp")
            else _http_status(source, connect)
        )
    except Refused as refused:
        return OfflineReason.REFUSED_BY_POLICY, str(refused)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return OfflineReason.UNREACHABLE, unreachable(parts, error)
    if status in (401, 403):
        return (
            OfflineReason.AUTH_FAILED,
            f"the source answered {status}: check its user and password",
        )
    if status == 404:
        return OfflineReason.NO_VIDEO, "the source answered 404: check the path of its address"
    if status >= 300:
        return OfflineReason.UNREACHABLE, f"the source answered {status}"
    if took_s >= timeout_s:
        return OfflineReason.UNREACHABLE, f"the source answers but sent no video in {timeout_s:g} s"
    return OfflineReason.UNSUPPORTED, "the source answers, but with nothing that decodes as video"


def _diagnose_file(path: Path) -> tuple[OfflineReason, str]:
    if not path.exists():
        return OfflineReason.UNREACHABLE, f"{path.name} does not exist"
    if not path.is_file():
        return OfflineReason.UNSUPPORTED, f"{path.name} is not a file; use folder: for pictures"
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        return OfflineReason.UNREACHABLE, f"{path.name} cannot be read: {error.strerror}"
    if empty:
        return OfflineReason.NO_VIDEO, f"{path.name} is empty"
    return OfflineReason.UNSUPPORTED, f"{path.name} is not a video that can be decoded"


def unreachable(parts: SplitResult, error: Exception) -> str:
    """A sentence on why a connection was not made."""
    where = f"{parts.hostname}:{port_of(parts)}"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer"
    if isinstance(error, socket.gaierror):
        return f"the name {parts.hostname} is not known"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refuses connections"
    if isinstance(error, ValueError):
        return f"{where} answers, but not in {parts.scheme.upper()}"
    return f"{where} cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"


def _http_status(source: Source, connect: Connect) -> int:
    """The status of the last of the answers that redirect, with the credentials on the first place only."""
    uri, status = source.uri, 0
    for hop in range(MOST_REDIRECTS):
        status, moved_to = _http_answer(source, uri, connect, login=hop == 0)
        if status not in _MOVED or not moved_to:
            break
        uri = urljoin(uri, moved_to)
    return status


def _http_answer(source: Source, uri: str, connect: Connect, *, login: bool) -> tuple[int, str]:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        raise Refused("it redirects to another protocol")
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, port_of(parts), timeout=PROBE_TIMEOUT_S)
    connection.sock = connect((host, port_of(parts)), PROBE_TIMEOUT_S)
    headers = {"User-Agent": AGENT}
    if login and source.username:
        headers["Authorization"] = basic(source)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", _target(parts), headers=headers)
        response = connection.getresponse()
        return response.status, response.getheader("Location") or ""
    finally:
        connection.close()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

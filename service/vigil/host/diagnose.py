"""Why a source did not open. OpenCV says only that it did not, so the source is asked once more."""

import base64
import hashlib
import http.client
import re
import socket
import ssl
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from vigil.data import OfflineReason
from vigil.spec import Source

PROBE_TIMEOUT_S = 3.0
_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_AGENT = "vigil"


def diagnose(source: Source, *, took_s: float, timeout_s: float) -> tuple[OfflineReason, str]:
    """The reason and a sentence for people, by asking the source directly.

    ``took_s`` is how long opening took: as long as ``timeout_s`` means that nothing answered.
    """
    parts = urlsplit(source.uri)
    if parts.scheme == "file":
        return _diagnose_file(Path(unquote(parts.path)))
    try:
        status = (
            _rtsp_status(source, parts)
            if parts.scheme.startswith("rtsp")
            else _http_status(source, parts)
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        return OfflineReason.UNREACHABLE, _unreachable(parts, error)
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


def _unreachable(parts: SplitResult, error: Exception) -> str:
    where = f"{parts.hostname}:{_port(parts)}"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer"
    if isinstance(error, socket.gaierror):
        return f"the name {parts.hostname} is not known"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refuses connections"
    return f"{where} cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _http_status(source: Source, parts: SplitResult) -> int:
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname or "", _port(parts), timeout=PROBE_TIMEOUT_S
        )
    else:
        connection = http.client.HTTPConnection(
            parts.hostname or "", _port(parts), timeout=PROBE_TIMEOUT_S
        )
    headers = {"User-Agent": _AGENT}
    if source.username:
        headers["Authorization"] = _basic(source)
    try:
        connection.request("GET", _target(parts), headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _rtsp_status(source: Source, parts: SplitResult) -> int:
    """The status of DESCRIBE, with the source's credentials where it asks for them (RFC 2326, 2617)."""
    with socket.create_connection((parts.hostname or "", _port(parts)), PROBE_TIMEOUT_S) as plain:
        stream = plain
        if parts.scheme == "rtsps":
            context = ssl.create_default_context()
            stream = context.wrap_socket(plain, server_hostname=parts.hostname)
        uri = parts._replace(netloc=f"{parts.hostname}:{_port(parts)}").geturl()
        status, head = _describe(stream, uri, sequence=1, authorization="")
        if status == 401 and source.username:
            authorization = _answer(head, source, uri)
            status, _ = _describe(stream, uri, sequence=2, authorization=authorization)
        return status


def _describe(
    sock: socket.socket, uri: str, *, sequence: int, authorization: str
) -> tuple[int, str]:
    lines = [f"DESCRIBE {uri} RTSP/1.0", f"CSeq: {sequence}", f"User-Agent: {_AGENT}"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        more = sock.recv(4096)
        if not more:
            break
        head += more
    text = head.decode("latin-1")
    match = re.match(r"RTSP/1\.\d (\d{3})", text)
    if match is None:
        raise ValueError("not an RTSP answer")
    return int(match.group(1)), text


def _answer(head: str, source: Source, uri: str) -> str:
    challenge = next(
        (line for line in head.splitlines() if line.lower().startswith("www-authenticate: digest")),
        "",
    )
    if not challenge:
        return _basic(source)
    given = dict(_CHALLENGE.findall(challenge))
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    secret = _md5(f"{source.username}:{realm}:{source.password}")
    response = _md5(f"{secret}:{nonce}:{_md5(f'DESCRIBE:{uri}')}")
    return (
        f'Digest username="{source.username}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{response}"'
    )


def _basic(source: Source) -> str:
    pair = f"{source.username}:{source.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

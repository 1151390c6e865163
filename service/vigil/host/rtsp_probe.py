"""One DESCRIBE to an RTSP source (RFC 2326, 2617): why it does not open, where it redirects to."""

import base64
import hashlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from vigil.host.access import Connect
from vigil.spec import Source

AGENT = "vigil"
DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
MOST_HEAD_BYTES = 65536
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class RtspAnswer:
    """The status of an answer and its head."""

    status: int
    head: str

    def header(self, name: str) -> str:
        """The value of a header; "" where there is none."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""


def port_of(parts: SplitResult) -> int:
    """The port of a URL, its scheme's own where it names none."""
    return parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def describe(source: Source, connect: Connect, *, timeout_s: float) -> RtspAnswer:
    """Ask for the description, with the source's credentials once they are asked for.

    Raises OSError, ValueError where the answer is not RTSP, and what ``connect`` raises.
    """
    with described(source, connect, timeout_s=timeout_s) as answer:
        return answer


@contextmanager
def described(source: Source, connect: Connect, *, timeout_s: float) -> Iterator[RtspAnswer]:
    """The same, and the connection stays while the context lasts. Raises as `describe`.

    A server that has one pipeline for all viewers (GStreamer's does) tears it down when the last one
    hangs up, and refuses whoever comes meanwhile: seen with 5 of 8 opens right behind a DESCRIBE.
    """
    parts = urlsplit(source.uri)
    deadline_s = time.monotonic() + timeout_s
    with ExitStack() as stack:
        stream = stack.enter_context(connect((parts.hostname or "", port_of(parts)), timeout_s))
        if parts.scheme == "rtsps":
            encrypted = _unverified().wrap_socket(stream, server_hostname=parts.hostname)
            stream = stack.enter_context(encrypted)
        uri = parts._replace(netloc=f"{_bracketed(parts.hostname)}:{port_of(parts)}").geturl()
        answer = _ask(stream, uri, sequence=1, authorization="", deadline_s=deadline_s)
        if answer.status == 401 and source.username:
            authorization = _authorization(answer.head, source, uri)
            answer = _ask(
                stream, uri, sequence=2, authorization=authorization, deadline_s=deadline_s
            )
        yield answer


def basic(source: Source) -> str:
    """The value of an Authorization header of the Basic scheme."""
    pair = f"{source.username}:{source.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _unverified() -> ssl.SSLContext:
    """Cameras sign their certificates themselves; FFmpeg, which opens them next, does not verify either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _bracketed(host: str | None) -> str:
    return f"[{host}]" if host and ":" in host else host or ""


def _ask(
    sock: socket.socket, uri: str, *, sequence: int, authorization: str, deadline_s: float
) -> RtspAnswer:
    lines = [f"DESCRIBE {uri} RTSP/1.0", f"CSeq: {sequence}", f"User-Agent: {AGENT}"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_HEAD_BYTES:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        sock.settimeout(left_s)
        more = sock.recv(4096)
        if not more:
            break
        head += more
    text = head.decode("latin-1")
    match = re.match(r"RTSP/1\.\d (\d{3})", text)
    if match is None:
        raise ValueError("not an RTSP answer")
    return RtspAnswer(int(match.group(1)), text)


def _authorization(head: str, source: Source, uri: str) -> str:
    challenge = next(
        (line for line in head.splitlines() if line.lower().startswith("www-authenticate: digest")),
        "",
    )
    if not challenge:
        return basic(source)
    given = dict(_CHALLENGE.findall(challenge))
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    secret = _md5(f"{source.username}:{realm}:{source.password}")
    response = _md5(f"{secret}:{nonce}:{_md5(f'DESCRIBE:{uri}')}")
    return (
        f'Digest username="{source.username}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{response}"'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

"""Where a network source really is: redirects followed, names pinned to an address that was judged."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec

from vigil.host.access import Access, Refused
from vigil.host.rtsp_probe import RtspAnswer, described, port_of
from vigil.spec import Source

MOST_REDIRECTS = 3


@contextmanager
def find(source: Source, access: Access, *, timeout_s: float) -> Iterator[tuple[Source, str]]:
    """Where a source leads to, and the address that FFmpeg is given for it, within the context.

    FFmpeg would follow an RTSP redirect to anywhere: it is looked for first, and each place is judged.
    HTTP, HTTPS and RTSPS go through the host's proxy, which judges what they lead to.
    Raises Refused, OSError.
    """
    for _ in range(MOST_REDIRECTS + 1):
        access.check(source)
        parts = urlsplit(source.uri)
        if not parts.scheme.startswith("rtsp"):
            access.addresses(parts.hostname or "", port_of(parts))
            yield source, ffmpeg_address(source)
            return
        with _asked(source, access, timeout_s) as (answer, peer):
            moved_to = answer.header("location") if answer and 300 <= answer.status < 400 else ""
            if not moved_to:
                pinned = peer if parts.scheme == "rtsp" else ""
                yield source, ffmpeg_address(source, pinned=pinned)
                return
        source = _moved(source, moved_to)
    raise Refused("it redirects too often")


def ffmpeg_address(source: Source, *, pinned: str = "") -> str:
    """What FFmpeg is given: the path of a file, or a URL with its credentials put back.

    ``pinned`` is an address that stands for the host's name, so that nothing resolves it again.
    """
    parts = urlsplit(source.uri)
    if parts.scheme == "file":
        return unquote(parts.path)
    place = parts.netloc.rpartition("@")[2]
    if pinned:
        host = f"[{pinned}]" if ":" in pinned else pinned
        place = f"{host}:{parts.port}" if parts.port else host
    user = ""
    if source.username:
        user = f"{quote(source.username, safe='')}:{quote(source.password, safe='')}@"
    return parts._replace(netloc=user + place).geturl()


@contextmanager
def _asked(
    source: Source, access: Access, timeout_s: float
) -> Iterator[tuple[RtspAnswer | None, str]]:
    """The answer to a DESCRIBE, none where it is not RTSP, and the address that gave it."""
    peer = ""

    def connect(place: tuple[str, int], limit_s: float) -> socket.socket:
        nonlocal peer
        made = access.connect(place, limit_s)
        peer = str(made.getpeername()[0])
        return made

    with ExitStack() as stack:
        try:
            answer = stack.enter_context(described(source, connect, timeout_s=timeout_s))
        except ValueError:
            answer = None  # FFmpeg and the diagnosis have their own say on it
        yield answer, peer


def _moved(source: Source, location: str) -> Source:
    """The source at its new place; its credentials go along only within the same host and port."""
    try:
        uri = urljoin(source.uri, location)
        old, new = urlsplit(source.uri), urlsplit(uri)
    except ValueError:
        raise Refused("it redirects to what is no address") from None
    if not new.scheme.startswith("rtsp"):
        raise Refused("it redirects to another protocol")
    moved = msgspec.structs.replace(source, uri=uri)
    if (old.scheme, old.netloc.lower()) != (new.scheme, new.netloc.lower()):
        moved = msgspec.structs.replace(moved, username="", password="")
    return moved

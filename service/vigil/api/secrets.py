"""Credentials at the edge: taken out of what comes in, kept where an update leaves them out, never shown."""

import re
from urllib.parse import unquote, urlsplit

import msgspec

from vigil.spec import Source

_WITH_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)@(.*)", re.DOTALL)
# Cameras that take a login in the path or query: /user=admin_password=x, ?pwd=x.
_SECRET_VALUE = re.compile(
    r"((?:pass(?:word|wd)?|pwd|psw|secret|token|api_?key|auth|sig(?:nature)?)=)[^&;/?#]*",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


def split_user(uri: str) -> tuple[str, str, str]:
    """A URI without ``user:password@``, the user and the password, percent-decoded; "" where none."""
    match = _WITH_USER.fullmatch(uri)
    if match is None:
        return uri, "", ""
    scheme, user, rest = match.groups()
    username, _, password = user.partition(":")
    return scheme + rest, unquote(username), unquote(password)


def shown_uri(uri: str) -> str:
    """A URI as calls return it: values that look like secrets are ``***``."""
    return _SECRET_VALUE.sub(r"\1***", uri)


def keep_secrets(new: Source, held: Source, *, given: bool) -> Source:
    """The new source with what a client could not have read and sent back.

    Credentials are kept where none are ``given`` and scheme, host and port are unchanged: they must not
    go to a place that they were not meant for. A URI that is returned with secrets blanked stands for
    the one that is held.
    """
    if new.uri == shown_uri(held.uri):
        new = msgspec.structs.replace(new, uri=held.uri)
    place = _place(new.uri)
    if not given and place is not None and place == _place(held.uri):
        new = msgspec.structs.replace(
            new, username=held.username, password=held.password, secret_ref=held.secret_ref
        )
    return new


def _place(uri: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(uri)
        if not parts.hostname:
            return None
        return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None

"""Who may ask, and for what: bearer tokens, kept as hashes in a file of the state folder.

A token is 256 random bits, so one round of SHA-256 keeps it: there is nothing to guess. Once the file is
there, every call needs a token, also when the last one was revoked.
"""

import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from vigil.errors import InvalidConfig, TokenExists, UnknownToken
from vigil.spec import ID_PATTERN

log = structlog.get_logger()

FILE_NAME = "tokens.json"
PREFIX = "vigil_"  # so that scanners of source code find one that was checked in


class Role(StrEnum):
    """What a token may do; each may do what those before it may."""

    VIEWER = "viewer"  # sees streams, events, pictures
    OPERATOR = "operator"  # and judges events, has pictures analysed
    ADMIN = "admin"  # and adds, changes and removes streams

    def includes(self, other: "Role") -> bool:
        """Whether it may do all that the other may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret. ``prefixes`` of stream ids are its tenant's; none: all streams."""

    name: str
    role: Role
    prefixes: tuple[str, ...]
    sha256: str
    created_at_s: float  # UTC
    expires_at_s: float | None = None  # UTC; None: never

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at_s is not None and time.time() >= self.expires_at_s


class TokenFile:
    """The tokens of one state folder. Commands write it, a running service sees the changes."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE_NAME
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    @property
    def required(self) -> bool:
        """Whether calls need a token."""
        return self._path.exists()

    def all(self) -> tuple[Token, ...]:
        """Every token, oldest first. Raises InvalidConfig where the file cannot be used."""
        with self._lock:
            try:
                stat = self._path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return ()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                self._tokens = self._read()
                self._stamp = stamp
            return self._tokens

    def find(self, secret: str) -> Token | None:
        """The token that has this secret and has not expired. A file that cannot be used has none."""
        digest = _digest(secret)
        try:
            found = next((token for token in self.all() if token.sha256 == digest), None)
        except InvalidConfig as error:
            log.error("tokens_unusable", error=str(error))
            return None
        return None if found is None or found.expired else found

    def add(
        self,
        name: str,
        *,
        role: Role,
        prefixes: tuple[str, ...],
        lasts_s: float | None = None,
    ) -> str:
        """Make a token; returns its secret, which is kept nowhere. Raises TokenExists."""
        for text in (name, *prefixes):
            if not ID_PATTERN.fullmatch(text):
                raise InvalidConfig(f"{text!r}: use 1 to 63 of a-z, 0-9, _ and -, no _ or - first")
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            name=name,
            role=role,
            prefixes=prefixes,
            sha256=_digest(secret),
            created_at_s=(now_s := time.time()),
            expires_at_s=None if lasts_s is None else now_s + lasts_s,
        )
        with self._changing():
            held = self.all()
            if any(each.name == name for each in held):
                raise TokenExists(f"a token {name!r} exists; revoke it first, or take another name")
            self._write((*held, token))
        return secret

    def revoke(self, name: str) -> None:
        """Take a token away, at once. Raises UnknownToken."""
        with self._changing():
            held = self.all()
            kept = tuple(token for token in held if token.name != name)
            if len(kept) == len(held):
                raise UnknownToken(f"there is no token {name!r}; see `vigil token list`")
            self._write(kept)

    def _read(self) -> tuple[Token, ...]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Token, ...])
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidConfig(f"{self._path} cannot be used: {error}") from None

    def _write(self, tokens: tuple[Token, ...]) -> None:
        scratch = self._path.with_suffix(".tmp")
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(tokens)))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One command changes the file at a time."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()

"""Passwords that a stream's definition only names, read each time its source is opened.

``env:NAME`` is a variable of the service's environment, ``file:/path`` the content of a file. The service
reads them, not the host: a process that decodes what cameras send can reach neither. Nothing can be named
that ``[secrets]`` of the configuration does not allow, since whoever adds a stream chooses which machine
the password is sent to.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path, PurePosixPath

from vigil.config import SecretsConfig
from vigil.errors import FieldViolation, VigilError
from vigil.redact import REDACTOR

MAX_REFERENCE_LENGTH = 1024
MAX_SECRET_BYTES = 1024
_FIELD = "source.credentials.secret_ref"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SecretUnreadable(VigilError):
    """What a reference names is not there, or no password. The text holds nothing of it."""

    code = "FAILED_PRECONDITION"


class SecretReader:
    """What references may name, and what they stand for. Any thread may use it."""

    def __init__(
        self, config: SecretsConfig | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._config = config or SecretsConfig()
        self._environ = environ or {}

    @classmethod
    def taking(cls, config: SecretsConfig, environ: MutableMapping[str, str]) -> "SecretReader":
        """The variables that may be named are taken out of ``environ``: no child inherits them."""
        names = [name for name in environ if _matches(name, config.env)]
        return cls(config, {name: environ.pop(name) for name in names})

    def violations(self, reference: str, *, prefixes: tuple[str, ...] = ()) -> list[FieldViolation]:
        """Why a client may not name this; empty if it may, or names nothing.

        ``prefixes`` are those of the client's token: one that is for some streams only may name files that
        begin as its streams do, so that no tenant has another's password sent to a machine of its own.
        """
        return [FieldViolation(_FIELD, problem) for problem in self._problems(reference, prefixes)]

    def read(self, reference: str, *, user: str = "") -> str:
        """The password that a reference stands for now; the redactor knows it from here on.

        Raises SecretUnreadable. May block as long as the file's file system does.
        """
        for problem in self._problems(reference, ()):
            raise SecretUnreadable(f"secret_ref {problem}")
        kind, _, name = reference.partition(":")
        secret = self._variable(name) if kind == "env" else self._file(Path(name))
        REDACTOR.remember(secret, user=user)
        if not secret or _CONTROL.search(secret):
            raise SecretUnreadable(f"{reference} is empty or holds a control character")
        return secret

    def _problems(self, reference: str, prefixes: tuple[str, ...]) -> Iterator[str]:
        kind, _, name = reference.partition(":")
        if not reference:
            return
        if len(reference) > MAX_REFERENCE_LENGTH or _CONTROL.search(reference):
            yield f"must be at most {MAX_REFERENCE_LENGTH} characters, none a control character"
        elif kind == "env":
            yield from self._variable_problems(name, prefixes)
        elif kind == "file":
            yield from self._file_problems(name, prefixes)
        else:
            yield "is no reference; write env:NAME or file:/path"

    def _variable_problems(self, name: str, prefixes: tuple[str, ...]) -> Iterator[str]:
        if not _VARIABLE.fullmatch(name):
            yield "names no variable; write env:NAME"
        elif not _matches(name, self._config.env):
            yield "names a variable that secrets.env of the service's configuration does not allow"
        elif prefixes:
            yield "is not for a token of some streams only; name a file"

    def _file_problems(self, name: str, prefixes: tuple[str, ...]) -> Iterator[str]:
        path = PurePosixPath(name)
        if not path.is_absolute() or ".." in path.parts:
            yield "names no file; write file:/path, absolute and without .."
        elif not self._holds(path):
            yield (
                "names a file outside the folders that secrets.file_roots of the service's"
                " configuration allows"
            )
        elif prefixes and not path.name.startswith(prefixes):
            yield "names a file that is not the token's: its name must begin as its streams' ids do"

    def _holds(self, path: PurePosixPath) -> bool:
        return any(path.is_relative_to(root) for root in self._config.file_roots)

    def _variable(self, name: str) -> str:
        secret = self._environ.get(name)
        if secret is None:
            raise SecretUnreadable(f"env:{name} is not set in the service's environment")
        return secret

    def _file(self, path: Path) -> str:
        """The text of a file, without the line end behind it; links must not lead out of the roots."""
        try:
            resolved = path.resolve()
            if not any(resolved.is_relative_to(Path(r).resolve()) for r in self._config.file_roots):
                raise SecretUnreadable(f"file:{path} is a link out of secrets.file_roots")
            # Not blocking: a FIFO would wait for a writer.
            fd = os.open(resolved, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise SecretUnreadable(f"file:{path} is no regular file")
                content = file.read(MAX_SECRET_BYTES + 1)
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or "the path cannot be followed"
            raise SecretUnreadable(f"file:{path} cannot be read: {why}") from None
        if len(content) > MAX_SECRET_BYTES:
            raise SecretUnreadable(f"file:{path} is longer than {MAX_SECRET_BYTES} bytes")
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise SecretUnreadable(f"file:{path} is not UTF-8") from None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

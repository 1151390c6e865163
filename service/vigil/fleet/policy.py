"""Which sources may be opened, judged by what the request shows: no name is resolved, nothing is opened.

The host judges again what only resolution, a redirect or the file system of the moment shows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as field_of
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from vigil.config import SourcesConfig
from vigil.errors import FieldViolation
from vigil.fleet.networks import NetworkPolicy, networks
from vigil.spec import Source

NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
PATH_SCHEMES = frozenset({"file", "folder"})
PUSH_URI = "push:"
MAX_URI_LENGTH = 2048
MAX_CREDENTIAL_LENGTH = 256

_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What a source may be. ``file_roots`` are the folders that files and folders must lie in."""

    file_roots: tuple[Path, ...] = ()
    networks: NetworkPolicy = field_of(default_factory=NetworkPolicy)

    @classmethod
    def of(cls, config: SourcesConfig, *, allow_loopback: bool) -> "SourcePolicy":
        """The policy that a checked configuration describes."""
        return cls(
            file_roots=tuple(Path(root) for root in config.file_roots),
            networks=NetworkPolicy(
                allow_hosts=config.allow_hosts,
                allow_networks=networks(config.allow_networks),
                deny_networks=networks(config.deny_networks),
                allow_loopback=allow_loopback,
            ),
        )

    def violations(self, source: Source) -> list[FieldViolation]:
        """Every field of a source that is not allowed. No text of the source is repeated."""
        return [*self._uri(source.uri), *_credentials(source)]

    def path(self, uri: str) -> Path:
        """The file or folder that a URI names, symbolic links resolved.

        Raises FieldViolation where it is outside every root: also called by the host just before it
        opens the path, since links can change.
        """
        raw = unquote(urlsplit(uri).path, errors="strict")
        if not raw.startswith("/") or "\0" in raw:
            raise _uri_violation("give an absolute path, such as file:///videos/gate.mp4")
        if not self.file_roots:
            raise _uri_violation(
                "files are not allowed: sources.file_roots of the service's configuration is empty"
            )
        try:
            resolved = Path(raw).resolve()
        except (OSError, RuntimeError):  # a name too long, a loop of links
            raise _uri_violation("the path cannot be followed") from None
        if not self.holds(resolved):
            raise _uri_violation(
                "the path is outside the folders that sources.file_roots of the service's"
                " configuration allows"
            )
        return resolved

    def holds(self, resolved: Path) -> bool:
        """Whether a path without symbolic links lies in a root."""
        return any(resolved.is_relative_to(root.resolve()) for root in self.file_roots)

    def _uri(self, uri: str) -> Iterator[FieldViolation]:
        if not uri:
            yield _uri_violation("is empty; give rtsp://host/path, file:///path or another source")
            return
        if len(uri) > MAX_URI_LENGTH:
            yield _uri_violation(f"is longer than {MAX_URI_LENGTH} characters")
            return
        if _CONTROL_OR_SPACE.search(uri):
            yield _uri_violation("holds a space, backslash or control character; percent-encode it")
            return
        try:
            parts = urlsplit(uri)
        except ValueError:
            yield _uri_violation("is no URI; check its host and brackets")
            return
        try:
            if parts.scheme in NETWORK_SCHEMES:
                yield from self._network(parts)
            elif parts.scheme in PATH_SCHEMES:
                self._named_path(uri, parts)
            elif uri != PUSH_URI:
                yield _uri_violation(
                    "its scheme is not supported; use rtsp, rtsps, http, https, file, folder or push:"
                )
        except FieldViolation as violation:
            yield violation

    def _named_path(self, uri: str, parts: SplitResult) -> None:
        if parts.netloc not in ("", "localhost"):
            raise _uri_violation(
                f"write {parts.scheme}:///path with three slashes; no host is taken"
            )
        if parts.query or parts.fragment:
            raise _uri_violation("write ? as %3F and # as %23 in a path")
        try:
            self.path(uri)
        except UnicodeDecodeError:
            raise _uri_violation("its percent-encoding is not UTF-8") from None

    def _network(self, parts: SplitResult) -> Iterator[FieldViolation]:
        if "@" in parts.netloc:
            yield _uri_violation("give credentials apart, in source.credentials")
            return
        if "@" in parts.path + parts.query + parts.fragment:
            # It may be the end of a password with an unescaped slash: it must not be kept as a path.
            yield _uri_violation("write @ as %40 behind the host, and / as %2F in a password")
            return
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            yield _uri_violation("its port is no number from 1 to 65535")
            return
        if port == 0:
            yield _uri_violation("its port is no number from 1 to 65535")
        if not host:
            yield _uri_violation(f"has no host; write {parts.scheme}://host/path")
            return
        problem = self.networks.host_problem(host)
        if problem:
            yield _uri_violation(problem)


def _credentials(source: Source) -> Iterator[FieldViolation]:
    if not (source.username or source.password or source.secret_ref):
        return
    if urlsplit_scheme(source.uri) not in NETWORK_SCHEMES:
        yield FieldViolation(
            "source.credentials", "only rtsp, rtsps, http and https sources log in"
        )
    if source.secret_ref and not source.username:
        yield FieldViolation("source.credentials.username", "is empty; a secret_ref is for a user")
    for field, value in (("username", source.username), ("password", source.password)):
        if len(value) > MAX_CREDENTIAL_LENGTH or _CONTROL.search(value):
            yield FieldViolation(
                f"source.credentials.{field}",
                f"must be at most {MAX_CREDENTIAL_LENGTH} characters, none a control character",
            )


def urlsplit_scheme(uri: str) -> str:
    """The scheme of a URI in lower case, "" where it has none; never raises."""
    scheme, separator, _ = uri.partition(":")
    return scheme.lower() if separator else ""


def _uri_violation(description: str) -> FieldViolation:
    return FieldViolation("source.uri", description)

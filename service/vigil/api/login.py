"""What a client shows the service, read from the environment: nothing of it belongs on a command line."""

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from vigil.config import is_loopback, split_address
from vigil.errors import VigilError

CA_ENV = "VIGIL_CA"  # PEM of who signed the service's certificate; set, it means TLS
CERT_ENV = "VIGIL_CLIENT_CERT"
KEY_ENV = "VIGIL_CLIENT_KEY"
TOKEN_ENV = "VIGIL_TOKEN"  # noqa: S105 - a variable's name


Options = Sequence[tuple[str, Any]]


class UnusableLogin(VigilError):
    """What the environment gives to show a service cannot be used."""

    code = "FAILED_PRECONDITION"


class _Details(
    collections.namedtuple(
        "_Details",
        ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"),
    ),
    grpc.ClientCallDetails,
):
    """What grpc gives its interceptors, which has no constructor of its own."""


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]  # generic in stubs only
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Sends the token with each call. Call credentials would need TLS, which loopback may lack."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """With the token."""
        return self._with(continuation, details, request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        """With the token."""
        return self._with(continuation, details, request)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        """With the token."""
        return self._with(continuation, details, requests)

    def _with(self, continuation: Callable[[Any, Any], Any], details: Any, sent: Any) -> Any:
        metadata = [*(details.metadata or ()), *self._metadata]
        more = (details.credentials, details.wait_for_ready, details.compression)
        return continuation(_Details(details.method, details.timeout, metadata, *more), sent)


@dataclass(frozen=True, slots=True)
class Login:
    """What a client shows, and whom it trusts. Without ``ca`` nothing is encrypted. PEM."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None
    token: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Login":
        """What the environment gives. Raises UnusableLogin where it does not go together."""
        named = {name: environ.get(name, "") for name in (CA_ENV, CERT_ENV, KEY_ENV)}
        if bool(named[CERT_ENV]) != bool(named[KEY_ENV]):
            raise UnusableLogin(f"{CERT_ENV} and {KEY_ENV} go together")
        if named[CERT_ENV] and not named[CA_ENV]:
            raise UnusableLogin(f"{CERT_ENV} is shown over TLS only: set {CA_ENV}")
        ca, cert, key = (_content(path) for path in named.values())
        return cls(ca=ca, cert=cert, key=key, token=environ.get(TOKEN_ENV, ""))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def channel(self, address: str, options: Options = ()) -> grpc.Channel:
        """A channel whose calls carry the token. Raises UnusableLogin as `credentials` does."""
        credentials = self.credentials(address)
        channel = (
            grpc.secure_channel(address, credentials, options=options)
            if credentials
            else grpc.insecure_channel(address, options=options)
        )
        return grpc.intercept_channel(channel, _Bearer(self.metadata)) if self.token else channel

    def aio_channel(self, address: str, options: Options = ()) -> grpc.aio.Channel:
        """The same for asyncio; its calls carry nothing by themselves: give them `metadata`."""
        credentials = self.credentials(address)
        if credentials:
            return grpc.aio.secure_channel(address, credentials, options=options)
        return grpc.aio.insecure_channel(address, options=options)

    def credentials(self, address: str) -> grpc.ChannelCredentials | None:
        """Of TLS; None without. Raises UnusableLogin where a token would cross a network in plain text."""
        if self.ca:
            return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)
        if self.token and not _stays_here(address):
            raise UnusableLogin(f"{TOKEN_ENV} is not sent to {address} in plain text: set {CA_ENV}")
        return None


def _stays_here(address: str) -> bool:
    try:
        return is_loopback(split_address(address)[0])
    except ValueError:
        return address.startswith("unix:")


def _content(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnusableLogin(f"{path} cannot be read: {error.strerror}") from None

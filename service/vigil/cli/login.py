"""What a client shows the service, read from the environment: nothing of it belongs on a command line."""

import collections
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import grpc

from vigil.config import is_loopback, split_address

CA_ENV = "VIGIL_CA"  # PEM of who signed the service's certificate; set, it means TLS
CERT_ENV = "VIGIL_CLIENT_CERT"
KEY_ENV = "VIGIL_CLIENT_KEY"
TOKEN_ENV = "VIGIL_TOKEN"  # noqa: S105 - a variable's name


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

    def __init__(self, token: str) -> None:
        self._entry = ("authorization", f"Bearer {token}")

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
        metadata = [*(details.metadata or ()), self._entry]
        more = (details.credentials, details.wait_for_ready, details.compression)
        return continuation(_Details(details.method, details.timeout, metadata, *more), sent)


def open_channel(
    address: str, environ: Mapping[str, str], options: tuple[tuple[str, Any], ...]
) -> grpc.Channel:
    """A channel with what the environment gives to show.

    Raises UsageError where a file cannot be read, or a token would cross a network in plain text.
    """
    token = environ.get(TOKEN_ENV, "")
    if environ.get(CA_ENV):
        ca, cert, key = (_content(environ.get(name)) for name in (CA_ENV, CERT_ENV, KEY_ENV))
        credentials = grpc.ssl_channel_credentials(ca, key, cert)
        channel = grpc.secure_channel(address, credentials, options=options)
    elif token and not _stays_here(address):
        raise click.UsageError(f"{TOKEN_ENV} is not sent to {address} in plain text: set {CA_ENV}")
    else:
        channel = grpc.insecure_channel(address, options=options)
    return grpc.intercept_channel(channel, _Bearer(token)) if token else channel


def _stays_here(address: str) -> bool:
    try:
        return is_loopback(split_address(address)[0])
    except ValueError:
        return address.startswith("unix:")


def _content(path: str | None) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None

"""Talking to a running service: the address, the channel, and errors that say what to do."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import grpc

from vigil.api.login import CA_ENV, Login, UnusableLogin
from vigil.config import GrpcConfig
from vigil.errors import VigilError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 30.0


class CallFailed(VigilError):
    """The service refused a call or could not be reached."""


def address_option(command: F) -> F:
    """Adds ``--address``, where the service is."""
    option = click.option(
        "--address",
        envvar="VIGIL_GRPC__ADDRESS",
        default=GrpcConfig().address,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="Where the service's gRPC server listens.",
    )
    return option(command)


@contextmanager
def connected(address: str) -> Iterator[grpc.Channel]:
    """A channel to the service. What fails within is raised as CallFailed."""
    options = (
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    )
    try:
        opened = Login.of(os.environ).channel(address, options)
    except UnusableLogin as error:
        raise click.UsageError(str(error)) from None
    with opened as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise failure(error, address) from None


def call(method: Callable[..., T], request: object) -> T:
    """One call with the usual deadline."""
    return method(request, timeout=TIMEOUT_S)


def failure(error: grpc.RpcError, address: str) -> CallFailed:
    """A failed call as one line for people."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and (why := _no_tls(details)):
        return CallFailed(f"no TLS with {address}: {why}")
    if code is grpc.StatusCode.UNAVAILABLE and "stopping" not in details:
        return CallFailed(f"no service answers at {address}; is `vigil serve` running there?")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CallFailed(f"the service at {address} did not answer within {TIMEOUT_S:g} s")
    return CallFailed(f"{details} ({code.name})" if details else code.name)


def _no_tls(details: str) -> str:
    """Why TLS was not agreed upon, from the text of a failed connection; "" where it was not about that."""
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return details.partition("CERTIFICATE_VERIFY_FAILED: ")[2].removesuffix(": OK")
    if "Hostname Verification Check failed" in details:
        return "its certificate is for another name"
    if "root certificate" in details or "security handshaker" in details:
        return f"{CA_ENV} holds no certificate"
    if "handshake failed" in details:
        return "is it a vigil, and does it have TLS?"
    if "Socket closed" in details:
        return f"it hung up; if it has TLS, set {CA_ENV}"
    return ""

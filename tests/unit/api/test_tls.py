"""Encryption of both servers, with real certificates that openssl makes."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import structlog.testing
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from vigil.api.certificates import Certificates
from vigil.api.guard import Guard
from vigil.api.server import Security
from vigil.api.web import WebServer
from vigil.config import HttpConfig, TlsConfig
from vigil.errors import InvalidConfig
from vigil.store.tokens import Role, TokenFile

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


def make(folder: Path, name: str, *, days: int = 30) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", str(days), "-subj", f"/CN={name}", "-keyout", str(key)),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def replace(target: tuple[Path, Path], source: tuple[Path, Path]) -> None:
    for to, of in zip(target, source, strict=True):
        to.with_suffix(".new").write_bytes(of.read_bytes())
        to.with_suffix(".new").replace(to)


async def health(address: str, ca: Path, *, client: tuple[Path, Path] | None = None) -> bool:
    cert, key = (path.read_bytes() for path in client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, cert)
    async with grpc.aio.secure_channel(address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True


@pytest.fixture
def server_pair(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path, "server")


def certificates(pair: tuple[Path, Path], client_ca: Path | None = None) -> Certificates:
    return Certificates(
        TlsConfig(cert=str(pair[0]), key=str(pair[1]), client_ca=str(client_ca or ""))
    )


async def test_grpc_shows_a_renewed_certificate_without_a_restart(
    open_site: Any, tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    old = tmp_path / "old.pem"
    old.write_bytes(server_pair[0].read_bytes())
    renewed = make(tmp_path, "renewed")
    security = Security(guard=Guard(), certificates=certificates(server_pair))
    async with open_site(security=security) as site:
        assert await health(site.server.address, old)
        assert not await health(site.server.address, renewed[0])
        server_pair[0].write_text("half a certificate")
        assert await health(site.server.address, old), "what does not work replaces nothing"
        replace(server_pair, renewed)
        assert await health(site.server.address, renewed[0])
        assert not await health(site.server.address, old)


async def test_grpc_asks_for_a_client_certificate(
    open_site: Any, tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    known, stranger = make(tmp_path, "client"), make(tmp_path, "stranger")
    security = Security(guard=Guard(), certificates=certificates(server_pair, known[0]))
    async with open_site(security=security) as site:
        address, ca = site.server.address, server_pair[0]
        assert await health(address, ca, client=known)
        assert not await health(address, ca)
        assert not await health(address, ca, client=stranger)


@pytest.fixture
async def web(tmp_path: Path, server_pair: tuple[Path, Path]) -> AsyncIterator[Any]:
    tokens = TokenFile(tmp_path)
    async with WebServer(
        HttpConfig(address="127.0.0.1:0"),
        registry=CollectorRegistry(),
        ready=lambda: True,
        troubles=lambda: ["Redis takes no events (full), 7 wait"],
        guard=Guard(tokens),
        certificates=certificates(server_pair),
    ) as server:
        yield server, tokens


async def fetch(address: str, path: str, ca: Path, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    context = ssl.create_default_context(cafile=str(ca))
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{address}{path}", ssl=context, headers=headers) as answer,
    ):
        return answer.status


async def test_metrics_need_a_token_of_all_streams_once_there_are_tokens(
    web: Any, server_pair: tuple[Path, Path]
) -> None:
    server, tokens = web
    ca = server_pair[0]
    assert await fetch(server.address, "/metrics", ca) == 200
    full = tokens.add("prometheus", role=Role.VIEWER, prefixes=())
    part = tokens.add("tenant", role=Role.ADMIN, prefixes=("a-",))
    assert await fetch(server.address, "/metrics", ca) == 401
    assert await fetch(server.address, "/metrics", ca, part) == 403
    assert await fetch(server.address, "/metrics", ca, full) == 200
    assert await fetch(server.address, "/healthz", ca) == 200


async def test_http_shows_a_renewed_certificate_without_a_restart(
    web: Any, tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    server, _ = web
    old = tmp_path / "old.pem"
    old.write_bytes(server_pair[0].read_bytes())
    assert await fetch(server.address, "/healthz", old) == 200
    renewed = make(tmp_path, "renewed")
    replace(server_pair, renewed)
    assert await fetch(server.address, "/healthz", renewed[0]) == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await fetch(server.address, "/healthz", old)


def test_a_certificate_that_runs_out_is_said_and_shown(
    tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    held = certificates(server_pair)
    with structlog.testing.capture_logs() as logs:
        assert held.current().expires_at_s == pytest.approx(time.time() + 30 * 86400, abs=3600)
        assert logs == []
        replace(server_pair, make(tmp_path, "short", days=2))
        assert held.current().expires_at_s == pytest.approx(time.time() + 2 * 86400, abs=3600)
    assert [each["event"] for each in logs] == ["certificates_reloaded", "certificate_expires"]
    assert logs[1]["in_days"] == pytest.approx(2, abs=0.1)


def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    other = make(tmp_path, "other")
    for pair in ((server_pair[0], other[1]), (tmp_path / "none.pem", server_pair[1])):
        with pytest.raises(InvalidConfig, match=pair[0].name):
            certificates(pair)


async def test_http_closes_connections_beyond_its_limit() -> None:
    server = WebServer(
        HttpConfig(address="127.0.0.1:0", max_connections=2),
        registry=CollectorRegistry(),
        ready=lambda: True,
        troubles=list,
        guard=Guard(),
        certificates=None,
    )
    async with server, contextlib.AsyncExitStack() as stack:
        url = f"http://{server.address}/healthz"

        async def session() -> aiohttp.ClientSession:
            return await stack.enter_async_context(aiohttp.ClientSession())

        first, second, third = [await session() for _ in range(3)]
        for each in (first, second):
            async with each.get(url) as answer:
                assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await third.get(url)
        await first.close()
        async with asyncio.timeout(10):
            while True:
                try:
                    async with third.get(url) as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.01)


async def test_http_asks_for_a_client_certificate(
    tmp_path: Path, server_pair: tuple[Path, Path]
) -> None:
    known, stranger = make(tmp_path, "client"), make(tmp_path, "stranger")
    server = WebServer(
        HttpConfig(address="127.0.0.1:0"),
        registry=CollectorRegistry(),
        ready=lambda: True,
        troubles=list,
        guard=Guard(),
        certificates=certificates(server_pair, known[0]),
    )

    async def status(client: tuple[Path, Path] | None) -> int:
        context = ssl.create_default_context(cafile=str(server_pair[0]))
        if client:
            context.load_cert_chain(*client)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://{server.address}/healthz", ssl=context) as answer,
        ):
            return answer.status

    async with server:
        assert await status(known) == 200
        for client in (None, stranger):
            with pytest.raises(aiohttp.ClientError):
                await status(client)
        replace((known[0], known[1]), stranger)  # whom the service trusts is read again, too
        assert await status(stranger) == 200

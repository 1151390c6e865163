"""What clients show a service: TLS, certificates of their own, tokens, in every client that there is."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.unit.api.test_tls import certificates, make
from vigil.api.client import StreamClient, wait_serving
from vigil.api.guard import Guard
from vigil.api.login import Login, UnusableLogin
from vigil.api.server import Security
from vigil.errors import Unavailable
from vigil.spec import Source, StreamSpec
from vigil.store.tokens import Role, TokenFile
from vigil.v1 import streams_pb2
from vigil.v1.streams_pb2_grpc import StreamServiceStub

SPEC = StreamSpec(stream_id="a-gate", source=Source(uri="rtsp://camera.example/live"))


@pytest.mark.parametrize("address", ["192.0.2.1:50051", "vigil.example:50051", "dns:///x", "x"])
def test_a_token_does_not_cross_a_network_in_plain_text(address: str) -> None:
    with pytest.raises(UnusableLogin, match="set VIGIL_CA"):
        Login.of({"VIGIL_TOKEN": "vigil_canary"}).channel(address)
    with pytest.raises(UnusableLogin, match="set VIGIL_CA"):
        Login.of({"VIGIL_TOKEN": "vigil_canary"}).aio_channel(address)


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:1", "[::1]:1", "unix:/run/v"])
def test_a_token_is_sent_on_this_machine(address: str) -> None:
    Login.of({"VIGIL_TOKEN": "vigil_canary"}).channel(address).close()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"VIGIL_CA": "/none.pem"}, r"/none\.pem cannot be read"),
        ({"VIGIL_CLIENT_CERT": "/c.pem"}, "go together"),
        ({"VIGIL_CLIENT_CERT": "/c.pem", "VIGIL_CLIENT_KEY": "/k.pem"}, "set VIGIL_CA"),
    ],
)
def test_what_does_not_go_together_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(UnusableLogin, match=said):
        Login.of(environ)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
async def test_every_client_speaks_mutual_tls_with_a_token(open_site: Any, tmp_path: Path) -> None:
    pair, client = make(tmp_path, "server"), make(tmp_path, "client")
    tokens = TokenFile(tmp_path / "state")
    token = tokens.add("chief", role=Role.ADMIN, prefixes=("a-",))
    security = Security(guard=Guard(tokens), certificates=certificates(pair, client[0]))
    environ = {
        "VIGIL_CA": str(pair[0]),
        "VIGIL_CLIENT_CERT": str(client[0]),
        "VIGIL_CLIENT_KEY": str(client[1]),
        "VIGIL_TOKEN": token,
    }
    async with open_site(security=security) as site:
        address = site.server.address
        await site.server.set_serving(True)
        await wait_serving(address, timeout_s=10, login=Login.of(environ))
        with pytest.raises(Unavailable):
            await wait_serving(address, timeout_s=0.5)
        async with StreamClient(address, Login.of(environ)) as streams:
            await streams.add(SPEC)
            watch = streams.watch("a-gate")
            assert (await anext(watch)).spec.stream_id == "a-gate"
            await watch.aclose()
            await streams.remove("a-gate")
        for missing in ("VIGIL_CLIENT_KEY", "VIGIL_TOKEN"):
            less = {name: value for name, value in environ.items() if name != missing}
            less.pop("VIGIL_CLIENT_CERT" if missing == "VIGIL_CLIENT_KEY" else "", None)
            async with StreamClient(address, Login.of(less)) as streams:
                with pytest.raises(grpc.aio.AioRpcError):
                    await streams.add(SPEC)
        listed = await _in_a_thread(address, Login.of(environ))
        assert [stream.spec.stream_id for stream in listed] == []


async def _in_a_thread(address: str, login: Login) -> Any:
    """The commands' channel, which blocks."""

    def ask() -> Any:
        with login.channel(address) as channel:
            request = streams_pb2.ListStreamsRequest()
            return StreamServiceStub(channel).ListStreams(request, timeout=10).streams

    return await asyncio.to_thread(ask)

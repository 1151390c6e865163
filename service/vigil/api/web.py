"""HTTP beside gRPC: metrics for Prometheus, liveness and readiness, the live page for operators."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from vigil.api.certificates import Certificates
from vigil.api.console import Console
from vigil.api.guard import Guard
from vigil.config import HttpConfig, split_address
from vigil.errors import Unauthenticated
from vigil.metrics.exposition import CONTENT_TYPE, Registry, render


class WebServer:
    """Serves /metrics, /healthz (the process answers), /readyz (it analyses frames) and the live page.

    What is wrong with the delivery of events is said by /healthz; it is 200 all the same, because to
    start the service again would mend none of it.
    """

    def __init__(
        self,
        config: HttpConfig,
        *,
        registry: Registry,
        ready: Callable[[], bool],
        troubles: Callable[[], Sequence[str]],
        guard: Guard,
        certificates: Certificates | None,
        console: Console | None = None,
    ) -> None:
        self._console = console
        self._guard = guard
        self._certificates = certificates
        self._config = config
        self._registry = registry
        self._ready = ready
        self._troubles = troubles
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Where it listens, with the port that was chosen where port 0 was configured."""
        host, _ = split_address(self._config.address)
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        if self._console is not None:
            self._console.add_to(application.router)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        host, port = split_address(self._config.address)
        context = self._certificates.http_context() if self._certificates else None
        limit = self._config.max_connections
        site = _LimitedSite(self._runner, host, port, ssl_context=context, limit=limit)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            caller = self._guard.caller(request.headers.get("Authorization", ""))
        except Unauthenticated as error:
            headers = {"WWW-Authenticate": "Bearer"}
            return web.Response(status=401, text=f"{error}\n", headers=headers)
        if caller.prefixes:
            text = "metrics are about all streams, and the token is for some of them\n"
            return web.Response(status=403, text=text)
        return web.Response(body=render(self._registry), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="".join(f"{line}\n" for line in ("alive", *self._troubles())))

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="the model is not ready\n")


class _LimitedSite(web.TCPSite):
    """Closes connections beyond a limit as they come: aiohttp takes as many as there are descriptors."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, *, limit: int, **more: Any):
        super().__init__(runner, host, port, **more)
        self._limit = limit

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, self._host, self._port, ssl=self._ssl_context, backlog=self._backlog
        )

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert isinstance(server, web.Server)
        return _Closing() if len(server.connections) >= self._limit else server()


class _Closing(asyncio.Protocol):
    """Ends a connection as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()

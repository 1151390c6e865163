"""HTTP beside gRPC: metrics for Prometheus, liveness and readiness for whoever runs the service."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from vigil.config import HttpConfig, split_address
from vigil.metrics.exposition import CONTENT_TYPE, Registry, render


class WebServer:
    """Serves /metrics, /healthz (the process answers) and /readyz (it analyses frames)."""

    def __init__(
        self, config: HttpConfig, *, registry: Registry, ready: Callable[[], bool]
    ) -> None:
        self._config = config
        self._registry = registry
        self._ready = ready
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
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        host, port = split_address(self._config.address)
        site = web.TCPSite(self._runner, host, port)
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
        return web.Response(body=render(self._registry), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="the model is not ready\n")

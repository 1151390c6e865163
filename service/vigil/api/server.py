"""The gRPC server: which services it has, its limits, and how it starts and stops."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from vigil.api.analysis_service import AnalysisService
from vigil.api.calls import CallInterceptor, CallObserver, CallTracer
from vigil.api.certificates import Certificates
from vigil.api.event_service import EventService
from vigil.api.guard import Guard
from vigil.api.lasting import LastingCalls
from vigil.api.past import Past
from vigil.api.snapshot_service import SnapshotService
from vigil.api.stream_service import DefinitionReader, StreamService
from vigil.clock import Clock
from vigil.config import GrpcConfig, split_address
from vigil.errors import InvalidConfig
from vigil.fleet.contract import Fleet
from vigil.v1 import (
    analysis_pb2,
    analysis_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    snapshots_pb2,
    snapshots_pb2_grpc,
    streams_pb2,
    streams_pb2_grpc,
)

SERVICES = tuple(
    service.full_name
    for module in (streams_pb2, events_pb2, analysis_pb2, snapshots_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Security:
    """Who may ask, and what both servers show for themselves; no certificates: nothing is encrypted."""

    guard: Guard
    certificates: Certificates | None = None


CALLS_SHARE = 0.75  # of the grace; the rest is for streams to end in, and for Redis


class Server:
    """Entering it opens the port, with health NOT_SERVING until `set_serving` says otherwise.

    Leaving it reports NOT_SERVING, ends watches, lets calls in hand go on for their share of
    ``grpc.grace_s`` and closes the port. Lives on one event loop.
    """

    def __init__(  # noqa: PLR0913 - what a server stands on, by name
        self,
        config: GrpcConfig,
        *,
        fleet: Fleet,
        past: Past,
        reader: DefinitionReader,
        security: Security,
        model: str,
        observer: CallObserver,
        clock: Clock,
        tracer: CallTracer | None = None,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._past = past
        self._reader = reader
        self._security = security
        self._model = model
        self._interceptor = CallInterceptor(
            observer=observer,
            clock=clock,
            guard=security.guard,
            stream_of=past.verdicts.stream_of,
            tracer=tracer,
        )
        self._lasting = LastingCalls(limit=config.max_watchers)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # missing in the stubs
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Where it listens, with the port that was chosen where port 0 was configured."""
        host, _ = split_address(self._config.address)
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    async def set_serving(self, serving: bool) -> None:
        """Report through grpc.health.v1 whether the service does its work."""
        for name in ("", *SERVICES):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)

    async def __aenter__(self) -> "Server":
        """Open the port. Raises InvalidConfig where the address cannot be had."""
        server = grpc.aio.server(interceptors=(self._interceptor,), options=self._options())
        self._register(server)
        await self.set_serving(False)
        try:
            certificates = self._security.certificates
            self._port = (
                server.add_secure_port(self._config.address, certificates.grpc_credentials())
                if certificates
                else server.add_insecure_port(self._config.address)
            )
        except RuntimeError:
            raise InvalidConfig(
                f"grpc.address {self._config.address} cannot be listened on; is another vigil there?"
            ) from None
        await server.start()
        self._server = server
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port."""
        await self._health.enter_graceful_shutdown()
        self._lasting.close()
        if self._server is not None:
            await self._server.stop(CALLS_SHARE * self._config.grace_s)

    def _register(self, server: grpc.aio.Server) -> None:
        fleet, reader, lasting = self._fleet, self._reader, self._lasting
        streams_pb2_grpc.add_StreamServiceServicer_to_server(
            StreamService(fleet=fleet, reader=reader, lasting=lasting), server
        )
        events_pb2_grpc.add_EventServiceServicer_to_server(
            EventService(log=self._past.log, verdicts=self._past.verdicts, lasting=lasting), server
        )
        analysis_pb2_grpc.add_AnalysisServiceServicer_to_server(
            AnalysisService(fleet=fleet, reader=reader, lasting=lasting, model=self._model), server
        )
        snapshots_pb2_grpc.add_SnapshotServiceServicer_to_server(
            SnapshotService(fleet=fleet, past=self._past), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._config.reflection:
            names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)

    def _options(self) -> tuple[tuple[str, Any], ...]:
        config = self._config
        keepalive_ms = round(config.keepalive_s * 1000)
        return (
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.max_send_message_length", config.max_message_bytes),
            ("grpc.max_concurrent_streams", config.max_concurrent_streams),
            ("grpc.max_allowed_incoming_connections", config.max_connections),
            ("grpc.keepalive_time_ms", keepalive_ms),
            ("grpc.keepalive_timeout_ms", keepalive_ms),
            ("grpc.http2.min_ping_interval_without_data_ms", keepalive_ms // 3),
            ("grpc.so_reuseport", 0),  # a second service on the port is an error, not a rival
        )

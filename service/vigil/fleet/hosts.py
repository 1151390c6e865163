"""The processes of a fleet on one machine: which there are, and which stream runs where."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from vigil.clock import Clock
from vigil.errors import Unavailable
from vigil.fleet.engine import EngineKeeper
from vigil.fleet.host import HostKeeper, HostWorld
from vigil.fleet.intake import EventIntake, EventSink
from vigil.fleet.settings import FleetSettings
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import EngineReady, FromHost, StreamEvents
from vigil.metrics.totals import AccountTotals, StageTotals
from vigil.spec import StreamSpec
from vigil.vision.manifest import Manifest

ENGINE_LEAST_S = 0.25  # to end in, however long the hosts took
Hear: TypeAlias = Callable[[HostKeeper, FromHost | None], None]
"""Who is told what a host says of one stream; None: the host is gone."""


class ProcessListener(Protocol):
    """Who is told what the processes say and do."""

    def heard(self, host: HostKeeper, parcel: Parcel[FromHost]) -> None:
        """A host said something that is not an event."""

    def host_ended(self, host: HostKeeper) -> None:
        """A host is gone and will be started again with its streams."""

    def serving(self, serving: bool) -> None:
        """The engine is ready, or no longer."""

    def restarted(self, process: str, reason: str) -> None:
        """A child died and is started again."""


class Hosts:
    """Hosts by need, one engine. Streams go to the host with the fewest."""

    def __init__(
        self,
        *,
        settings: FleetSettings,
        manifest: Manifest,
        clock: Clock,
        sink: EventSink,
        listener: ProcessListener,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._listener = listener
        self.stages = StageTotals()
        self.accounts = AccountTotals()
        self.engine = EngineKeeper(
            settings,
            clock,
            self.stages,
            on_ready=self._engine_ready,
            on_down=self._engine_down,
            on_restart=listener.restarted,
        )
        self._world = HostWorld(settings, manifest, clock, self.engine, self.stages, self.accounts)
        self._hosts: list[HostKeeper] = []
        self._intakes: dict[str, EventIntake] = {}
        self._host_of: dict[str, HostKeeper] = {}
        self._own: dict[str, Hear] = {}  # streams that no client asked for
        self._named = 0

    async def start(self) -> None:
        """Start the engine and one host, so that clients' pictures have a place to go."""
        await self.engine.start()
        await self._new_host().start()

    async def stop(self, grace_s: float) -> None:
        """End the streams, take their last events, then end the engine."""
        deadline_s = self._clock.monotonic_s() + grace_s
        await asyncio.gather(*(host.stop(grace_s) for host in self._hosts))
        await asyncio.gather(*(intake.finish() for intake in self._intakes.values()))
        left_s = deadline_s - self._clock.monotonic_s()
        await self.engine.stop(max(ENGINE_LEAST_S, left_s))

    async def place(self, spec: StreamSpec) -> None:
        """Run a stream on a host with room, starting one where none has any."""
        host = min(
            (host for host in self._hosts if host.room),
            key=lambda each: len(each.streams),
            default=None,
        )
        if host is not None:
            self._host_of[spec.stream_id] = host
            host.place(spec)
            return
        host = self._new_host()
        self._host_of[spec.stream_id] = host
        host.place(spec)  # before it is started: others may fill it while it is
        await host.start()

    def place_clip(self, spec: StreamSpec, clip_fd: int, *, hear: Hear) -> None:
        """Play an open file of the service's own on a host that runs: no process is started for it.

        ``hear`` takes all that is said of it, events too. Raises Unavailable.
        """
        host = max(self._hosts, key=lambda each: (each.ready, each.room))
        if not (host.ready and host.room):
            raise Unavailable("no host has room")
        self._own[spec.stream_id] = hear
        self._host_of[spec.stream_id] = host
        host.place_clip(spec, clip_fd)

    async def take_away(self, stream_id: str) -> None:
        """Stop a stream, wherever it runs, and wait until nothing of it is left."""
        host = self._host_of.get(stream_id)
        if host is not None:
            await host.take_away(stream_id)
            self._host_of.pop(stream_id, None)
        self._own.pop(stream_id, None)

    def host_of(self, stream_id: str) -> HostKeeper | None:
        """Where a stream runs; None for one that is not placed."""
        return self._host_of.get(stream_id)

    def least_loaded(self) -> HostKeeper:
        """The host for a picture that belongs to no stream."""
        return min(self._hosts, key=lambda host: (not host.ready, len(host.streams)))

    def placed(self) -> list[str]:
        """The ids of all streams of clients that run."""
        return [stream_id for stream_id in self._host_of if stream_id not in self._own]

    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {"engine": self.engine.pid, **{host.host_id: host.pid for host in self._hosts}}

    def check(self) -> None:
        """Kill what makes no progress."""
        self.engine.check()
        for host in self._hosts:
            host.check()

    def heard(self, host: HostKeeper, parcel: Parcel[FromHost]) -> None:
        """Events go to the outbox, everything else to the listener; own streams have theirs."""
        hear = self._own.get(getattr(parcel.message, "stream_id", ""))
        if hear is not None:
            hear(host, parcel.message)
        elif isinstance(parcel.message, StreamEvents):
            self._intakes[host.host_id].take(parcel.message.events)
        else:
            self._listener.heard(host, parcel)

    def host_ended(self, host: HostKeeper, reason: str) -> None:
        """Its streams connect anew in the next process."""
        self._listener.restarted("host", reason)
        for stream_id, hear in self._own.items():
            if self._host_of.get(stream_id) is host:
                hear(host, None)
        self._listener.host_ended(host)

    def _new_host(self) -> HostKeeper:
        self._named += 1
        host = HostKeeper(f"host-{self._named}", self._world, self)
        self._intakes[host.host_id] = EventIntake(self._sink)
        self._hosts.append(host)
        return host

    def _engine_ready(self, ready: EngineReady) -> None:
        for host in self._hosts:
            host.connect()
        self._listener.serving(True)

    def _engine_down(self) -> None:
        for host in self._hosts:
            host.disconnect()
        self._listener.serving(False)

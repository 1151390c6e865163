"""The processes of a fleet on one machine: which there are, and which stream runs where."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, TypeAlias

import structlog

from vigil.clock import Clock
from vigil.errors import Unavailable
from vigil.fleet.endings import kept_in_time
from vigil.fleet.engine import EngineKeeper
from vigil.fleet.episodes import OpenEpisodes
from vigil.fleet.event_pictures import EventPictures
from vigil.fleet.host import HostKeeper, HostWorld
from vigil.fleet.intake import EventIntake, EventSink
from vigil.fleet.quarantine import Quarantine
from vigil.fleet.settings import FleetSettings
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import EngineReady, EventPicture, FromHost, StreamEvents
from vigil.metrics.totals import AccountTotals, StageTotals
from vigil.metrics.usage import process_cpu_s
from vigil.spec import StreamSpec
from vigil.vision.manifest import Manifest

log = structlog.get_logger()

CELL_GRACE_S = 5.0  # of a host whose one stream has left
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
        """Frames are analysed, or no longer: no engine, or processes that keep dying."""

    def restarted(self, process: str, reason: str) -> None:
        """A child died and is started again."""

    def isolated(self, host: HostKeeper, stream_id: str, *, deaths: int, retry_in_s: float) -> None:
        """A stream ended its process so often that it is out, and will be tried again alone."""


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
        pictures: EventPictures | None = None,
    ) -> None:
        """``pictures`` takes those of events; None: none are kept."""
        self._pictures = pictures
        self._sink = sink
        self._clock = clock
        self._listener = listener
        self.stages = StageTotals()
        self.accounts = AccountTotals()
        self.episodes = OpenEpisodes()
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
        self._quarantine = Quarantine(clock)
        self._isolated: dict[str, asyncio.Task[None]] = {}  # streams that wait to be tried again
        self._cells: dict[str, HostKeeper] = {}  # hosts that run one such stream each, by stream
        self._serving = False

    async def start(self) -> None:
        """Start the engine and one host, so that clients' pictures have a place to go."""
        await self.engine.start()
        await self._new_host().start()

    async def stop(self, grace_s: float) -> None:
        """End the streams, take their last events, then end the engine."""
        deadline_s = self._clock.monotonic_s() + grace_s
        for waiting in self._isolated.values():
            waiting.cancel()
        await asyncio.gather(*(host.stop(grace_s) for host in self._hosts))
        await asyncio.gather(*(intake.finish() for intake in self._intakes.values()))
        left_s = deadline_s - self._clock.monotonic_s()
        await self.engine.stop(max(ENGINE_LEAST_S, left_s))

    async def place(self, spec: StreamSpec, *, played: bool = False) -> None:
        """Run a stream on a host with room, starting one where none has any.

        A file that was ``played`` to its end is not opened: it keeps its place, as it had before.
        """
        host = min(
            (host for host in self._hosts if host.room and host not in self._cells.values()),
            key=lambda each: len(each.streams),
            default=None,
        )
        if host is not None:
            self._host_of[spec.stream_id] = host
            host.place(spec, played=played)
            return
        await self._place_apart(self._new_host(), spec, played=played)

    async def _place_apart(
        self, host: HostKeeper, spec: StreamSpec, *, played: bool = False
    ) -> None:
        self._host_of[spec.stream_id] = host
        host.place(spec, played=played)  # before it is started: others may fill it while it is
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

    async def events_kept(self, host: HostKeeper) -> None:
        """Wait until all events that a host has sent so far are on disk, or given up and counted."""
        if host.host_id in self._intakes:  # else it was a cell, and its stream has been taken away
            await self._intakes[host.host_id].finish()

    async def take_away(self, stream_id: str) -> None:
        """Stop a stream, wherever it runs, and wait until nothing of it is left and its events are on disk.

        Where the disk hangs, it does not wait for that.
        What it did before is forgiven: it comes back as another definition, or not at all.
        """
        self._quarantine.forgive(stream_id)
        waiting = self._isolated.pop(stream_id, None)
        if waiting is not None:
            waiting.cancel()
        host = self._host_of.get(stream_id)
        if host is not None:
            await host.take_away(stream_id)
            self._host_of.pop(stream_id, None)
            await kept_in_time(self.events_kept(host))
        cell = self._cells.pop(stream_id, None)
        if cell is not None:
            self._hosts.remove(cell)
            await cell.stop(CELL_GRACE_S)
            del self._intakes[cell.host_id]
        self._own.pop(stream_id, None)

    def host_of(self, stream_id: str) -> HostKeeper | None:
        """Where a stream runs; None for one that is not placed."""
        return self._host_of.get(stream_id)

    def least_loaded(self) -> HostKeeper:
        """The host for a picture that belongs to no stream."""
        return min(self._hosts, key=lambda host: (not host.ready, len(host.streams)))

    def placed(self) -> list[str]:
        """The ids of all streams of clients that run."""
        running = [stream_id for stream_id in self._host_of if stream_id not in self._own]
        return [*running, *self._isolated]

    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {"engine": self.engine.pid, **{host.host_id: host.pid for host in self._hosts}}

    def cpu_s(self) -> dict[int, float]:
        """Processor time that each child has used so far, by process id."""
        used: dict[int, float] = {}
        for pid in self.pids().values():
            with contextlib.suppress(OSError):  # it has just ended
                used[pid] = process_cpu_s(pid)
        return used

    def check(self) -> None:
        """Kill what makes no progress, trust what is calm, say whether frames are analysed."""
        self.engine.check()
        for host in self._hosts:
            host.check()
        for stream_id, cell in list(self._cells.items()):
            if cell.calm:
                self._quarantine.forgive(stream_id)
                del self._cells[stream_id]  # from now on a host like any other
        self._judge()

    def heard(self, host: HostKeeper, parcel: Parcel[FromHost]) -> None:
        """Events go to the outbox, everything else to the listener; own streams have theirs."""
        hear = self._own.get(getattr(parcel.message, "stream_id", ""))
        if hear is not None:
            hear(host, parcel.message)
        elif isinstance(parcel.message, StreamEvents):
            self.episodes.note(parcel.message.events)
            self._intakes[host.host_id].take(parcel.message.events)
            if self._pictures is not None:
                self._pictures.announced(host.host_id, parcel.message.events)
        elif isinstance(parcel.message, EventPicture):
            if self._pictures is not None:
                self._pictures.take(host.host_id, parcel.message, parcel.payload())
        else:
            self._listener.heard(host, parcel)

    def host_ended(self, host: HostKeeper, reason: str, culprit: str) -> None:
        """Its streams connect anew in the next process, but for one that ended it too often."""
        self._listener.restarted("host", reason)
        if self._pictures is not None:
            self._pictures.host_ended(host.host_id)
        for stream_id, hear in self._own.items():
            if self._host_of.get(stream_id) is host:
                hear(host, None)
        self._listener.host_ended(host)
        if culprit and culprit not in self._own:
            self._blame(host, culprit)
        self._judge()

    def _blame(self, host: HostKeeper, stream_id: str) -> None:
        wait_s = self._quarantine.blame(stream_id)
        if wait_s is None:
            return
        spec = host.evict(stream_id)
        del self._host_of[stream_id]
        if self._cells.pop(stream_id, None) is not None:
            host.give_up()
            self._hosts.remove(host)
        self._isolated[stream_id] = asyncio.create_task(self._try_alone(spec, wait_s))
        deaths = self._quarantine.deaths(stream_id)
        log.error("stream_quarantined", stream_id=stream_id, deaths=deaths, retry_in_s=wait_s)
        self._listener.isolated(host, stream_id, deaths=deaths, retry_in_s=wait_s)

    async def _try_alone(self, spec: StreamSpec, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        self._isolated.pop(spec.stream_id)
        cell = self._cells[spec.stream_id] = self._new_host()
        await self._place_apart(cell, spec)

    def _judge(self) -> None:
        """Say whether frames are analysed, where that has changed."""
        storms = [host.host_id for host in self._hosts if host.streams and host.storming]
        if self.engine.storming:
            storms.append("engine")
        serving = self.engine.ready is not None and not storms
        if serving == self._serving:
            return
        self._serving = serving
        if storms:
            log.error("restart_storm", processes=storms, advice="the log says what each died of")
        self._listener.serving(serving)

    def _new_host(self) -> HostKeeper:
        self._named += 1
        host = HostKeeper(f"host-{self._named}", self._world, self)
        self._intakes[host.host_id] = EventIntake(self._sink)
        self._hosts.append(host)
        return host

    def _engine_ready(self, ready: EngineReady) -> None:
        for host in self._hosts:
            host.connect()
        self._judge()

    def _engine_down(self) -> None:
        for host in self._hosts:
            host.disconnect()
        self._judge()

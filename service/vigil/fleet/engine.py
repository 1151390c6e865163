"""The engine's keeper: starts it, notices when it dies or hangs, starts it again."""

import asyncio
from collections.abc import Callable

import structlog

from vigil.clock import Clock
from vigil.fleet.child import Child
from vigil.fleet.restart import RestartDelay
from vigil.fleet.settings import FleetSettings
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import (
    AttachHost,
    DetachHost,
    EngineFailed,
    EngineReady,
    EngineSettings,
    FromEngine,
    StopProcess,
    ToEngine,
)
from vigil.metrics.page import Page
from vigil.metrics.totals import StageTotals

log = structlog.get_logger()


class EngineKeeper:
    """One engine at a time. ``on_ready`` and ``on_down`` tell the fleet to connect its hosts."""

    def __init__(
        self,
        settings: FleetSettings,
        clock: Clock,
        stages: StageTotals,
        *,
        on_ready: Callable[[EngineReady], None],
        on_down: Callable[[], None],
        on_restart: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stages = stages
        self._on_ready = on_ready
        self._on_down = on_down
        self._on_restart = on_restart
        self._delay = RestartDelay(settings, clock)
        self._child: Child[ToEngine, FromEngine] | None = None
        self._page: Page | None = None
        self._ready: EngineReady | None = None
        self._failure = ""
        self._why = "died"
        self._stopping = False
        self._started_s = 0.0
        self._restart: asyncio.Task[None] | None = None

    @property
    def ready(self) -> EngineReady | None:
        """What the running engine said of itself; None while there is none to serve."""
        return self._ready

    @property
    def storming(self) -> bool:
        """Whether the process keeps dying."""
        return self._delay.storming

    @property
    def failure(self) -> str:
        """Why the last engine did not become ready; empty if it did."""
        return self._failure

    @property
    def page(self) -> Page | None:
        """The running engine's counters."""
        return self._page

    @property
    def pid(self) -> int:
        """The running engine's process id; 0 while there is none."""
        return self._child.pid if self._child else 0

    async def start(self) -> None:
        """Start an engine; it is ready later. A machine without room for it is tried again."""
        try:
            await self._open().start()
        except OSError as error:
            log.error("engine_cannot_start", error=error.strerror)
            self._ended(-1)

    def _open(self) -> Child[ToEngine, FromEngine]:
        """A process that is not started yet, with its settings said to it. Raises OSError."""
        self._page = Page.create("vigil-engine-counters", records=0)
        self._stages.add_page(self._page)
        self._child = Child(
            "vigil.engine", FromEngine, take=self._take, end=self._ended, log=self._settings.log
        )
        self._started_s = self._clock.monotonic_s()
        self._delay.started()
        self._child.open()
        settings = self._settings
        self._child.send(
            EngineSettings(
                model=settings.model,
                models_dir=str(settings.models_dir),
                device=settings.device,
                max_batch=settings.max_batch,
                linger_s=settings.linger_s,
                max_staleness_s=settings.max_staleness_s,
                threads=settings.engine_threads,
                classifiers=tuple(info.name for info in settings.classifiers),
            ),
            descriptors=(self._page.slab.fd,),
        )
        return self._child

    def attach(
        self, message: AttachHost, *, socket_fd: int, slots_fd: int, crop_slots_fd: int
    ) -> None:
        """Let frames of a host in."""
        if self._child is not None:
            self._child.send(message, descriptors=(socket_fd, slots_fd, crop_slots_fd))

    def detach(self, host_id: str) -> None:
        """A host is gone."""
        if self._child is not None:
            self._child.send(DetachHost(host_id=host_id))

    def check(self) -> None:
        """Kill an engine that makes no progress; its end starts the next one."""
        if self._child is None or not self._child.running or self._page is None:
            return
        now_s = self._clock.monotonic_s()
        if self._ready is None:
            hung = now_s - self._started_s > self._settings.engine_load_timeout_s
        else:
            hung = now_s - self._page.last_beat_s() > self._settings.hang_timeout_s
        if hung:
            log.error("engine_hangs", pid=self.pid)
            self._why = "hung"
            self._child.kill()

    async def stop(self, grace_s: float) -> None:
        """Finish the batch in hand and end."""
        self._stopping = True
        if self._restart is not None:
            self._restart.cancel()
        if self._child is not None:
            self._child.send(StopProcess())
            await self._child.stop(grace_s)

    def _take(self, parcel: Parcel[FromEngine]) -> None:
        match parcel.message:
            case EngineReady() as ready:
                log.info(
                    "engine_ready",
                    device=ready.device,
                    precision=ready.precision,
                    form=ready.form,
                    model=ready.model,
                    load_s=round(ready.load_s, 2),
                )
                self._ready, self._failure = ready, ""
                self._on_ready(ready)
            case EngineFailed(detail=detail):
                log.error("engine_failed", detail=detail)
                self._failure = detail

    def _ended(self, status: int) -> None:
        self._ready = self._child = None
        if self._page is not None:
            self._stages.retire_page(self._page)
            self._page = None
        self._on_down()
        if self._stopping:
            return
        reason, self._why = self._why, "died"
        delay_s = self._delay.next_s()
        log.error("engine_ended", status=status, reason=reason, restart_in_s=round(delay_s, 2))
        self._on_restart("engine", reason)
        self._restart = asyncio.create_task(self._start_after(delay_s))

    async def _start_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self.start()

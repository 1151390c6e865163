"""A host's keeper and the placing of streams, with processes that only note what they are told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.fleet.settings import fleet_settings
from vigil.clock import SystemClock
from vigil.data import OfflineReason, StreamState
from vigil.errors import Unavailable
from vigil.fleet import engine as engine_module
from vigil.fleet import host as host_module
from vigil.fleet.hosts import Hosts
from vigil.ipc.channel import Parcel
from vigil.ipc.messages import (
    AttachEngine,
    EngineReady,
    EngineSettings,
    HostReady,
    HostSettings,
    StartStream,
    StopStream,
    StreamReport,
    StreamStopped,
)
from vigil.spec import Source, StreamSpec
from vigil.vision.manifest import Manifest

MANIFEST = Manifest(
    name="grid",
    architecture="vigil-det-n",
    classes=("person",),
    input_height_px=32,
    input_width_px=64,
    score_threshold=(0.3,),
    nms_iou=0.6,
    weights_path=Path("/nowhere"),
    weights_sha256="",
    licence="none",
)


class NotingChild:
    """Stands for `vigil.fleet.child.Child`; starts when it is let, and dies when told."""

    made: list["NotingChild"]
    may_start: asyncio.Event

    def __init__(
        self,
        module: str,
        receives: object,
        *,
        take: Callable[..., None],
        end: Callable[..., None],
        user: str = "",
        log: object = None,
    ) -> None:
        self.module = module
        self.told: list[Any] = []
        self.running = False
        self.pid = 1000 + len(self.made)
        self._take, self._end = take, end
        self.made.append(self)

    def open(self) -> None:
        assert not self.told

    async def start(self) -> None:
        await self.may_start.wait()
        self.running = True

    def send(self, message: msgspec.Struct, **_: object) -> None:
        self.told.append(message)

    def say(self, message: msgspec.Struct) -> None:
        self._take(Parcel(message, []))

    def die(self) -> None:
        self.running = False
        self._end(-9)

    def kill(self) -> None:
        if self.running:
            self.die()

    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self.told]


class Listener:
    """Notes what the processes do."""

    def __init__(self) -> None:
        self.restarts: list[tuple[str, str]] = []

    def heard(self, host: Any, parcel: Any) -> None:
        """Nothing of interest here."""

    def host_ended(self, host: Any) -> None:
        """Nothing of interest here."""

    def serving(self, serving: bool) -> None:
        """Nothing of interest here."""

    def restarted(self, process: str, reason: str) -> None:
        self.restarts.append((process, reason))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> type[NotingChild]:
    kind = type(
        "Fresh", (NotingChild,), {"made": [], "may_start": asyncio.Event()}
    )  # lists of this test's own
    kind.may_start.set()  # type: ignore[attr-defined]
    monkeypatch.setattr(host_module, "Child", kind)
    monkeypatch.setattr(engine_module, "Child", kind)
    return kind


class Sink:
    """Takes every event."""

    async def append(self, events: object) -> None:
        """Nothing of interest here."""

    def drop(self, reason: str, events: object) -> None:
        raise AssertionError(f"events were dropped: {reason}")


def new_hosts(listener: Listener | None = None, **changes: Any) -> Hosts:
    settings = fleet_settings(restart_first_s=0.0, **changes)
    return Hosts(
        settings=settings,
        manifest=MANIFEST,
        clock=SystemClock(),
        sink=Sink(),
        listener=listener or Listener(),
    )


def spec(stream_id: str) -> StreamSpec:
    return StreamSpec(stream_id=stream_id, source=Source(uri="rtsp://camera/1"))


def named(children: type[NotingChild], module: str) -> list[NotingChild]:
    return [child for child in children.made if child.module == module]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_settings_come_before_anything_else(children: type[NotingChild]) -> None:
    """Streams may be placed, and pictures sent, while a process is still being started."""
    hosts = new_hosts()
    children.may_start.clear()
    starting = asyncio.create_task(hosts.start())
    await settle()
    children.may_start.set()
    await starting
    children.may_start.clear()
    placing = [asyncio.create_task(hosts.place(spec(f"s{n}"))) for n in range(4)]
    await settle()
    hosts.least_loaded().send(StopStream(stream_id="x"))
    children.may_start.set()
    await asyncio.gather(*placing)
    (engine,) = named(children, "vigil.engine")
    assert isinstance(engine.told[0], EngineSettings)
    first, second = named(children, "vigil.host")
    for host in (first, second):
        assert isinstance(host.told[0], HostSettings)
        assert host.kinds().count("StartStream") == 2, "each stream once, two a host"
    assert {m.spec.stream_id for m in second.told if isinstance(m, StartStream)} == {"s2", "s3"}


async def test_a_stream_begins_on_a_clear_record(children: type[NotingChild]) -> None:
    """Before, it showed the frames of the stream that had been there, until the host cleared it."""
    hosts = new_hosts(streams_per_host=1)
    await hosts.start()
    (host,) = named(children, "vigil.host")
    await hosts.place(spec("first"))
    hosts._hosts[0]._page.ledger(0).read(1.0)  # type: ignore[union-attr]
    hosts._hosts[0]._page.ledger(0).outcome("analysed")  # type: ignore[union-attr]
    assert hosts.accounts.account("first").read == 1
    leaving = asyncio.create_task(hosts.take_away("first"))
    await settle()
    host.say(StreamStopped(stream_id="first"))
    await leaving
    await hosts.place(spec("second"))
    assert hosts.accounts.account("second").read == 0
    assert hosts.accounts.account("first").read == 1


async def test_a_dead_host_is_started_again_with_its_streams(children: type[NotingChild]) -> None:
    listener = Listener()
    hosts = new_hosts(listener)
    await hosts.start()
    await hosts.place(spec("a"))
    await hosts.place(spec("b"))
    (first,) = named(children, "vigil.host")
    hosts._hosts[0]._page.ledger(0).read(1.0)  # type: ignore[union-attr]
    hosts._hosts[0]._page.ledger(1).read(1.0)  # type: ignore[union-attr]
    first.die()
    with pytest.raises(Unavailable):
        hosts.least_loaded().expect_process()
    await settle()
    _, second = named(children, "vigil.host")
    started = {m.spec.stream_id for m in second.told if isinstance(m, StartStream)}
    assert started == {"a", "b"}
    assert listener.restarts == [("host", "died")]
    for stream_id in ("a", "b"):
        account = hosts.accounts.account(stream_id)
        assert (account.read, account.in_flight, account.outcomes["dropped_error"]) == (1, 0, 1)


async def test_a_file_that_was_played_does_not_begin_again_with_the_next_process(
    children: type[NotingChild],
) -> None:
    hosts = new_hosts(streams_per_host=3)
    await hosts.start()
    for stream_id in ("played", "runs", "pushed"):
        uri = "push:" if stream_id == "pushed" else f"file:///{stream_id}.mp4"
        await hosts.place(StreamSpec(stream_id=stream_id, source=Source(uri=uri)))
    (first,) = named(children, "vigil.host")
    for stream_id in ("played", "pushed"):
        first.say(
            StreamReport(stream_id=stream_id, state=StreamState.OFFLINE, reason=OfflineReason.ENDED)
        )
    assert hosts._hosts[0].opened == ["runs", "pushed"]
    first.die()
    await settle()
    _, second = named(children, "vigil.host")
    started = [m.spec.stream_id for m in second.told if isinstance(m, StartStream)]
    assert started == ["runs", "pushed"]
    leaving = asyncio.create_task(hosts.take_away("played"))
    await settle()
    second.say(StreamStopped(stream_id="played"))
    await leaving
    assert hosts.placed() == ["runs", "pushed"]


async def test_a_stream_that_leaves_with_its_dying_host_is_gone(
    children: type[NotingChild],
) -> None:
    hosts = new_hosts()
    await hosts.start()
    await hosts.place(spec("a"))
    (first,) = named(children, "vigil.host")
    leaving = asyncio.create_task(hosts.take_away("a"))
    await settle()
    first.die()
    await leaving
    await settle()
    _, second = named(children, "vigil.host")
    assert "StartStream" not in second.kinds()
    assert hosts.placed() == []


async def test_a_host_that_does_not_let_a_stream_go_is_killed(
    children: type[NotingChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "STOP_SLACK_S", -3.99)
    listener = Listener()
    hosts = new_hosts(listener)
    await hosts.start()
    await hosts.place(spec("stuck"))
    await hosts.place(spec("neighbour"))
    await hosts.take_away("stuck")
    await settle()
    assert listener.restarts == [("host", "hung")]
    _, second = named(children, "vigil.host")
    started = [m.spec.stream_id for m in second.told if isinstance(m, StartStream)]
    assert started == ["neighbour"]


async def test_hosts_and_engine_are_joined_whichever_is_ready_first(
    children: type[NotingChild],
) -> None:
    hosts = new_hosts()
    await hosts.start()
    (engine,) = named(children, "vigil.engine")
    (host,) = named(children, "vigil.host")
    host.say(HostReady())
    assert AttachEngine() not in host.told
    engine.say(EngineReady(device="cpu", precision="float32", model="grid", load_s=1.0))
    assert host.kinds().count("AttachEngine") == engine.kinds().count("AttachHost") == 1
    engine.die()
    assert host.kinds()[-1] == "DetachEngine"
    await settle()
    _, again = named(children, "vigil.engine")
    again.say(EngineReady(device="cpu", precision="float32", model="grid", load_s=1.0))
    assert host.kinds()[-1] == "AttachEngine"
    for name in ("a", "b", "c"):
        await hosts.place(spec(name))
    _, late = named(children, "vigil.host")
    assert late.kinds()[:3] == ["HostSettings", "AttachEngine", "StartStream"]


async def test_a_machine_without_room_for_a_process_is_asked_again(
    children: type[NotingChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = new_hosts()
    await hosts.start()
    (first,) = named(children, "vigil.host")
    start, failures = children.start, []

    async def fails_once(self: NotingChild) -> None:
        if not failures:
            failures.append(self)
            raise BlockingIOError(11, "Resource temporarily unavailable")
        await start(self)

    monkeypatch.setattr(children, "start", fails_once)
    first.die()
    async with asyncio.timeout(10):
        while len(named(children, "vigil.host")) < 3 or not hosts._hosts[0]._child.running:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
    assert len(failures) == 1

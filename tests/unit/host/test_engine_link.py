import threading
from collections.abc import Iterator

import pytest

from vigil.host.engine_link import EngineLink, SlotPool
from vigil.ipc.channel import Channel, ChannelClosed, socket_pair
from vigil.ipc.messages import FrameDone, FrameReady
from vigil.ipc.slab import Slots


def frame(slot: int) -> FrameReady:
    return FrameReady(slot=slot, camera=0, captured_s=1.0, ready_s=1.0, priority=1, keep=False)


class Site:
    """A link with an engine's end that the test holds."""

    def __init__(self) -> None:
        self.slots = Slots.create("vigil-test", count=3, height_px=32, width_px=32)
        self.crops = Slots.create("vigil-test-crops", count=2, height_px=16, width_px=16)
        self.pool = SlotPool(range(3))
        self.link: EngineLink[str] = EngineLink(self.slots, self.crops)
        self.engine: Channel[FrameDone, FrameReady] | None = None

    def attach(self) -> Channel[FrameDone, FrameReady]:
        ours, theirs = socket_pair()
        theirs.settimeout(5)
        self.link.attach(ours.detach())
        self.engine = Channel(theirs, FrameReady)
        return self.engine

    def submit(self, carried: str) -> bool:
        slot = self.pool.take()
        assert slot is not None
        return self.link.submit(frame(slot), pool=self.pool, carried=carried)

    def close(self) -> None:
        self.link.detach()
        if self.engine is not None:
            self.engine.close()
        self.slots.slab.close()
        self.crops.slab.close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def free(pool: SlotPool) -> list[int]:
    slots = []
    while (slot := pool.take()) is not None:
        slots.append(slot)
    for slot in slots:
        pool.give_back(slot)
    return sorted(slots)


def test_a_frame_goes_out_and_its_answer_frees_the_slot(site: Site) -> None:
    engine = site.attach()
    assert site.submit("first")
    assert site.submit("second")
    assert len(free(site.pool)) == 1
    slots = [engine.receive().message.slot for _ in range(2)]
    for slot in reversed(slots):
        engine.send(FrameDone(slot=slot, outcome="analysed"))
    results = site.link.results().frames
    assert [carried for carried, _ in results] == ["second", "first"]
    assert free(site.pool) == [0, 1, 2]
    assert site.link.results().frames == []


def test_without_an_engine_nothing_is_taken(site: Site) -> None:
    assert not site.submit("frame")
    assert free(site.pool) == [0, 1, 2]
    assert site.link.results().frames == []


def test_what_a_dead_engine_held_comes_back_once(site: Site) -> None:
    engine = site.attach()
    site.submit("held")
    engine.close()
    with pytest.raises(ChannelClosed):
        site.link.results()
    assert not site.submit("too late")
    assert site.link.detach().frames == ["held"]
    assert site.link.detach().frames == []
    assert free(site.pool) == [0, 1, 2]
    assert site.link.channel is None


def test_an_answer_that_nobody_waits_for_frees_nothing_twice(site: Site) -> None:
    engine = site.attach()
    engine.send(FrameDone(slot=1, outcome="analysed"))
    assert site.link.results().frames == []
    assert free(site.pool) == [0, 1, 2]


def test_a_new_engine_takes_over(site: Site) -> None:
    site.attach().close()
    site.link.detach()
    engine = site.attach()
    assert site.submit("again")
    assert engine.receive().message.slot in (0, 1, 2)


def test_waiting_for_an_engine_ends_when_it_comes_or_when_told(site: Site) -> None:
    stop = threading.Event()
    assert not site.link.wait_attached(0.0, stop)
    waiter = threading.Thread(target=lambda: seen.append(site.link.wait_attached(30.0, stop)))
    seen: list[bool] = []
    waiter.start()
    site.attach()
    waiter.join(5)
    assert seen == [True]
    site.link.detach()
    stop.set()
    assert not site.link.wait_attached(30.0, stop)


def test_waiting_for_a_slot_ends_when_one_is_free_or_when_told() -> None:
    pool, stop = SlotPool(range(1)), threading.Event()
    assert pool.take_unless(stop, timeout_s=30.0) == 0
    giver = threading.Timer(0.01, pool.give_back, (0,))
    giver.start()
    assert pool.take_unless(stop, timeout_s=30.0) == 0
    giver.join()
    assert pool.take_unless(stop, timeout_s=0.0) is None
    stop.set()
    assert pool.take_unless(stop, timeout_s=30.0) is None

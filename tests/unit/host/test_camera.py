"""A camera's room between a reader and the host's loop, with the engine's end in the test's hands."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from vigil.clock import Anchor, SystemClock
from vigil.data import StreamState
from vigil.errors import Unavailable
from vigil.fleet.policy import SourcePolicy
from vigil.host import camera as module
from vigil.host.access import Access
from vigil.host.camera import Analysed, Camera
from vigil.host.context import HostContext, Transit, detections_of
from vigil.host.engine_link import EngineLink
from vigil.host.picture_pool import PicturePool
from vigil.host.run import Run
from vigil.host.worker import Worker
from vigil.ipc.channel import Channel, socket_pair
from vigil.ipc.messages import (
    FrameDone,
    FrameReady,
    FromHost,
    HostSettings,
    RunWanted,
    StreamEvents,
    StreamReport,
)
from vigil.ipc.slab import Slots
from vigil.metrics.page import Page
from vigil.spec import MarkerRule, MotionGate, Point, Source, StreamSpec
from vigil.vision.letterbox import Letterbox

SETTINGS = HostSettings(
    host_id="host-1",
    model="grid",
    classes=("person", "car"),
    class_thresholds=(0.3, 0.3),
    input_height_px=32,
    input_width_px=64,
    stretch=False,
    streams=1,
    open_timeout_s=1.0,
    read_timeout_s=1.0,
    max_staleness_s=1.0,
    memory_limit_bytes=2**40,
)
LEFT = (Point(0, 0), Point(0.5, 0), Point(0.5, 1), Point(0, 1))


def spec(**changes: Any) -> StreamSpec:
    fields = {
        "stream_id": "gate",
        "source": Source(uri="rtsp://camera/1"),
        "rules": (MarkerRule(rule_id="mark"),),
        **changes,
    }
    return StreamSpec(**fields)


class Room:
    """One camera, what it says to the service, and the engine."""

    def __init__(self, settings: HostSettings = SETTINGS) -> None:
        self.sent: list[FromHost] = []
        self.payloads: list[bytes] = []  # beside each of them
        self.posted: list[Callable[[], None]] = []
        self.page = Page.create("vigil-test-page", records=1)
        self.slots = Slots.create("vigil-test", count=3, height_px=32, width_px=64)
        self.crops = Slots.create("vigil-test-crops", count=2, height_px=16, width_px=16)
        self.link: EngineLink[Transit] = EngineLink(self.slots, self.crops)
        ours, theirs = socket_pair()
        theirs.settimeout(5)
        self.link.attach(ours.detach())
        self.engine: Channel[FrameDone, FrameReady] = Channel(theirs, FrameReady)
        self.grants = True
        self.worker = Worker("test")
        context = HostContext(
            settings=settings,
            clock=SystemClock(),
            page=self.page,
            engine=self.link,
            access=Access(SourcePolicy()),
            send=self._send,
            post=self.posted.append,
            worker=self.worker,
            pictures=PicturePool(SystemClock(), at_once=1),
        )
        self.camera = Camera(spec(), context, record=0, slots=range(3))

    def _send(self, message: FromHost, *, payload: bytes = b"") -> None:
        self.sent.append(message)
        self.payloads.append(payload)
        if isinstance(message, RunWanted) and self.grants:
            self.camera.grant_run(7)

    def begin(self) -> Run:
        run = self.camera.begin_run(Anchor.now(SystemClock()))
        self.camera.report(StreamReport(stream_id="gate", state=StreamState.ONLINE))
        return run

    def submit(self, run: Run, *, value: int = 200, later_s: float = 0.0) -> None:
        slot = self.camera.slots.take()
        assert slot is not None
        now_s = SystemClock().monotonic_s()
        self.camera.ledger.read(now_s)
        self.camera.submit(
            run,
            seq=run.next_seq(),
            picture=np.full((48, 96, 3), value, np.uint8),
            moment=run.moment(time_s=now_s + later_s, captured_s=now_s),
            slot=slot,
            keep=False,
        )

    def answer(self, outcome: Any = "analysed") -> None:
        """The engine's answer to the next frame, taken by the loop."""
        slot = self.engine.receive().message.slot
        box = np.array([[8, 4, 24, 20]], np.float32)
        found = {
            "xyxy": box.tobytes(),
            "score": np.array([0.9], np.float32).tobytes(),
            "class_id": np.array([1]).tobytes(),
        }
        self.engine.send(
            FrameDone(slot=slot, outcome=outcome, **(found if outcome == "analysed" else {}))
        )
        ((transit, done),) = self.link.results().frames
        if done.outcome == "analysed":
            transit.analysed(detections_of(done, transit.letterbox), done)
        else:
            transit.dropped(done)

    def run_posted(self) -> None:
        while self.posted:
            self.posted.pop(0)()

    def events(self) -> list[Any]:
        return [e for m in self.sent if isinstance(m, StreamEvents) for e in m.events]

    def close(self) -> None:
        self.link.detach()
        self.engine.close()
        self.slots.slab.close()
        self.crops.slab.close()
        self.page.slab.close()


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.close()


def outcomes(room: Room) -> dict[str, int]:
    account = room.page.account(0)
    assert account is not None
    assert account.read == sum(account.outcomes.values()) + account.in_flight
    return {name: count for name, count in account.outcomes.items() if count}


def test_an_analysed_frame_becomes_events(room: Room) -> None:
    run = room.begin()
    for _ in range(2):
        room.submit(run)
        room.answer()
    assert [(event.run, event.type, event.rule_id) for event in room.events()] == [
        (7, "marker", "mark")
    ] * 2
    assert outcomes(room) == {"analysed": 2}
    account = room.page.account(0)
    assert account is not None
    assert account.detections[:2].tolist() == [0, 2]


def test_a_dropped_frame_is_counted_as_what_it_was(room: Room) -> None:
    run = room.begin()
    for outcome in ("dropped_newer", "dropped_stale", "dropped_error"):
        room.submit(run)
        room.answer(outcome)
    assert outcomes(room) == {"dropped_newer": 1, "dropped_stale": 1, "dropped_error": 1}
    assert room.events() == []


def test_a_frame_that_meets_no_engine_is_dropped_on_the_loop(room: Room) -> None:
    run = room.begin()
    room.link.detach()
    room.submit(run)
    assert outcomes(room) == {}
    room.run_posted()
    assert outcomes(room) == {"dropped_error": 1}
    assert len({room.camera.slots.take() for _ in range(3)}) == 3, "no slot is lost"


def test_a_frame_that_cannot_be_drawn_is_counted_and_keeps_no_slot(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise cv2.error("no memory")

    run = room.begin()
    with monkeypatch.context() as patch:
        patch.setattr(Letterbox, "draw", fails)
        for _ in range(4):
            with pytest.raises(cv2.error):
                room.submit(run)
    room.submit(run)
    room.answer()
    assert outcomes(room) == {"dropped_error": 4, "analysed": 1}


def test_a_run_is_finished_when_its_last_frame_is_back(room: Room) -> None:
    run = room.begin()
    room.submit(run)
    room.submit(run)
    told: list[bool] = []
    room.camera.end_run(run, then=lambda: told.append(run.finished.is_set()))
    room.run_posted()
    assert not run.finished.is_set()
    room.answer()
    assert not run.finished.is_set()
    assert not told
    room.answer()
    assert run.finished.is_set()
    assert told == [True], "after its last event"


def test_a_run_without_a_number_does_not_begin(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_TIMEOUT_S", 0.01)
    room.grants = False
    with pytest.raises(Unavailable, match="no run number"):
        room.camera.begin_run(Anchor.now(SystemClock()))


def test_changed_rules_hold_for_the_next_frame_of_the_run(room: Room) -> None:
    run = room.begin()
    room.submit(run)
    room.camera.change(spec(rules=(MarkerRule(rule_id="other"),), labels={"a": "b"}))
    room.answer()
    (event,) = room.events()
    assert (event.rule_id, event.labels) == ("other", {"a": "b"})


def test_rules_that_change_while_a_run_begins_are_not_lost(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes between the run's making and the moment that the camera knows it."""
    changing: list[threading.Thread] = []

    class SlowRun(Run):
        def __init__(self, *args: Any, **fields: Any) -> None:
            super().__init__(*args, **fields)
            changed = spec(rules=(MarkerRule(rule_id="new"),))
            changing.append(threading.Thread(target=room.camera.change, args=(changed,)))
            changing[0].start()
            changing[0].join(0.1)

    monkeypatch.setattr(module, "Run", SlowRun)
    run = room.begin()
    changing[0].join(5)
    room.submit(run)
    room.answer()
    assert [event.rule_id for event in room.events()] == ["new"]


def test_masks_are_black_in_what_the_engine_and_snapshots_see(room: Room) -> None:
    room.camera.change(spec(privacy_masks=(LEFT,)))
    seen: list[Analysed | None] = []
    run = room.begin()
    room.camera.want_picture(seen.append)
    assert room.camera.wants_picture()
    room.submit(run)
    assert not room.camera.wants_picture()
    slot = room.slots[0]
    assert slot[:, :30].max() == 0
    assert slot[:, 34:].min() == 200
    room.answer()
    (analysed,) = seen
    assert analysed is not None
    assert analysed.picture is not None
    assert analysed.picture[:, :47].max() == 0
    assert analysed.picture[:, 50:].min() == 200
    assert (analysed.run, analysed.seq, len(analysed.found)) == (7, 0, 1)


def test_frames_that_nobody_wants_are_not_copied(room: Room) -> None:
    run = room.begin()
    room.submit(run)
    ((_, transit),) = [(slot, held.carried) for slot, held in room.link._in_transit.items()]
    assert transit.picture is None  # type: ignore[attr-defined]
    room.answer()


def test_who_waits_for_a_picture_is_told_when_none_will_come(room: Room) -> None:
    seen: list[Analysed | None] = []
    room.camera.want_picture(seen.append)
    assert seen == [None], "not online yet"
    room.begin()
    room.camera.want_picture(seen.append)
    assert len(seen) == 1
    room.camera.report(StreamReport(stream_id="gate", state=StreamState.OFFLINE))
    assert seen == [None, None]


def test_who_waits_for_a_picture_gets_the_next_one_when_a_frame_is_dropped(room: Room) -> None:
    seen: list[Analysed | None] = []
    run = room.begin()
    room.camera.want_picture(seen.append)
    room.submit(run)
    room.answer("dropped_stale")
    assert seen == []
    assert room.camera.wants_picture()
    room.submit(run)
    room.answer()
    assert seen[0] is not None


def test_objects_are_where_they_are_in_the_source(room: Room) -> None:
    run = room.begin()
    seen: list[Analysed | None] = []
    room.camera.want_picture(seen.append)
    room.submit(run)
    room.answer()
    (analysed,) = seen
    assert analysed is not None
    assert analysed.found.xyxy == pytest.approx(
        np.array([[8 / 64, 4 / 32, 24 / 64, 20 / 32]], np.float32)
    )


def test_weak_and_unwanted_objects_are_not_shown(room: Room) -> None:
    run = room.begin()
    for changed in (spec(min_score=0.95), spec(classes=("person",))):
        room.camera.change(changed)
        seen: list[Analysed | None] = []
        room.camera.want_picture(seen.append)
        room.submit(run)
        room.answer()
        assert seen[0] is not None
        assert len(seen[0].found) == 0


def test_messages_of_a_camera_survive_the_border(room: Room) -> None:
    run = room.begin()
    room.submit(run)
    room.answer()
    for message in room.sent:
        encoded = msgspec.msgpack.encode(message)
        assert msgspec.msgpack.decode(encoded, type=FromHost) == message


def test_a_still_scene_is_counted_and_its_slots_are_free(room: Room) -> None:
    gate = MotionGate(enabled=True, max_gap_s=60.0)
    room.camera.change(spec(rules=(), motion_gate=gate))
    run = room.begin()
    room.submit(run)
    for _ in range(5):  # more than there are slots
        room.submit(run)
    assert outcomes(room) == {"skipped_motion": 5}
    room.answer()
    room.submit(run, value=90)
    room.answer()
    assert outcomes(room) == {"analysed": 2, "skipped_motion": 5}


def test_a_snapshot_and_rules_about_what_stays_open_the_gate(room: Room) -> None:
    gate = MotionGate(enabled=True, max_gap_s=60.0)
    room.camera.change(spec(rules=(), motion_gate=gate))
    run = room.begin()
    seen: list[Analysed | None] = []
    room.submit(run)
    room.answer()
    room.camera.want_picture(seen.append)
    room.submit(run)
    room.answer()
    assert len(seen) == 1
    assert seen[0] is not None
    room.camera.change(spec(motion_gate=gate))  # a marker tells of every frame
    room.submit(run)
    room.answer()
    assert outcomes(room) == {"analysed": 3}

"""Pictures of events in the host: of the right frame, masked, small, and in nobody's way."""

from collections.abc import Iterator

import cv2
import msgspec
import numpy as np
import pytest

from tests.unit.host.test_camera import LEFT, SETTINGS, Room, outcomes, spec
from vigil.data import Phase, SnapshotName
from vigil.host import event_pictures
from vigil.ipc.messages import EventPicture, StreamEvents
from vigil.spec import EventSnapshots, MarkerRule, TrackRule

EVERY = EventSnapshots(enabled=True)
FRAMES = 8
RULES = (TrackRule(rule_id="seen", update_s=0.1), MarkerRule(rule_id="mark"))


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room(msgspec.structs.replace(SETTINGS, snapshot_px=64))
    room.camera.change(spec(rules=RULES, event_snapshots=EVERY))
    yield room
    room.worker.give_own(lambda: None)
    room.close()


def see(room: Room) -> None:
    """Frames that grow brighter, with a car in each."""
    run = room.begin()
    for number in range(FRAMES):
        room.submit(run, value=100 + 10 * number, later_s=0.2 * number)
        room.answer()


def finish(room: Room) -> list[tuple[EventPicture, bytes]]:
    """What was said of pictures, once the worker is done."""
    room.worker.start()
    room.worker.stop()
    room.run_posted()
    return [
        (message, payload)
        for message, payload in zip(room.sent, room.payloads, strict=True)
        if isinstance(message, EventPicture)
    ]


def test_the_first_event_of_an_episode_has_the_picture_of_its_frame(room: Room) -> None:
    see(room)
    ((told, jpeg),) = finish(room)
    named = [event for event in room.events() if event.snapshot is not None]
    assert [(event.type, event.phase, event.snapshot) for event in named] == [
        ("track", Phase.NEW, told.name)
    ]
    assert {event.type for event in room.events()} == {"track", "marker"}
    name = SnapshotName.parse(told.name)
    assert name is not None
    assert (name.stream_id, name.run) == ("gate", 7)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (32, 64, 3), "as narrow as the service wants it"
    assert abs(int(picture.mean()) - (100 + 10 * name.seq)) <= 2, "of that very frame"
    sent = [message for message in room.sent if isinstance(message, StreamEvents | EventPicture)]
    assert isinstance(sent[-1], EventPicture), "events are not held up"


def test_masks_are_applied_before_anything_is_kept(room: Room) -> None:
    masked = spec(rules=RULES, event_snapshots=EVERY, privacy_masks=(LEFT,))
    room.camera.change(masked)
    see(room)
    ((_, jpeg),) = finish(room)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture[:, :28].max() < 16
    assert picture[:, 36:].min() > 80


@pytest.mark.parametrize(
    "asked",
    [EventSnapshots(), EventSnapshots(enabled=True, rule_ids=("mark",))],
)
def test_other_events_have_none(room: Room, asked: EventSnapshots) -> None:
    room.camera.change(spec(rules=RULES, event_snapshots=asked))
    see(room)
    assert finish(room) == []
    assert {event.snapshot for event in room.events()} == {None}


def test_nothing_is_kept_where_the_service_wants_none() -> None:
    room = Room()
    room.camera.change(spec(rules=RULES, event_snapshots=EVERY))
    see(room)
    assert finish(room) == []
    assert {event.snapshot for event in room.events()} == {None}
    room.close()


def test_too_many_at_once_are_lost_and_counted_and_their_events_are_not(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pictures, "MOST_WAITING", 0)
    see(room)
    assert [(told.lost, told.name) for told, _ in finish(room)] == [("busy", "")]
    assert next(event.snapshot for event in room.events() if event.type == "track") is None
    assert outcomes(room) == {"analysed": FRAMES}


def test_a_picture_that_no_quality_makes_small_is_lost_and_the_next_one_has_its_turn(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pictures, "MOST_BYTES", 10)
    see(room)
    ((told, jpeg),) = finish(room)
    assert (told.lost, jpeg) == ("encoding", b"")
    assert room.camera._event_pictures._waiting == 0

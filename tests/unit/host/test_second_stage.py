"""A run's second stages, with the engine's end in the test's hands."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vigil.clock import SystemClock
from vigil.data import Track, TrackState
from vigil.fleet.policy import SourcePolicy
from vigil.host.access import Access
from vigil.host.context import HostContext, Transit
from vigil.host.engine_link import EngineLink
from vigil.host.picture_pool import PicturePool
from vigil.host.second_stage import (
    FIRST_S,
    PERIOD_S,
    SETTLED_CROPS,
    SETTLED_S,
    SURE_CROPS,
    SecondStages,
)
from vigil.host.second_stage import quality_of as quality
from vigil.host.worker import Worker
from vigil.ipc.channel import Channel, socket_pair
from vigil.ipc.messages import (
    ClassifierInfo,
    CropDone,
    CropReady,
    EngineToHost,
    HostSettings,
    HostToEngine,
)
from vigil.ipc.slab import Slots
from vigil.metrics.page import CROP_OUTCOMES, Page
from vigil.spec import SecondStage

SIDE = 16
TYPE = SecondStage(classifier="type", classes=("car",))
COLOUR = SecondStage(classifier="colour")
STEP_S = 0.1


def settings(**changes: Any) -> HostSettings:
    fields: dict[str, Any] = {
        "host_id": "host-1",
        "model": "grid",
        "classes": ("person", "car"),
        "class_thresholds": (0.3, 0.3),
        "input_height_px": 32,
        "input_width_px": 64,
        "stretch": False,
        "streams": 1,
        "open_timeout_s": 1.0,
        "read_timeout_s": 1.0,
        "max_staleness_s": 1.0,
        "memory_limit_bytes": 0,
        "classifiers": (
            ClassifierInfo(name="type", classes=("van", "taxi"), input_px=SIDE, first_label=0),
            ClassifierInfo(name="colour", classes=("red", "blue"), input_px=8, first_label=2),
        ),
        "crop_px": SIDE,
        **changes,
    }
    return HostSettings(**fields)


def track(
    track_id: int = 1,
    *,
    xyxy: tuple[float, float, float, float] = (0.25, 0.25, 0.5, 0.75),
    class_id: int = 1,
    score: float = 0.8,
    state: TrackState = TrackState.CONFIRMED,
) -> Track:
    return Track(
        track_id=track_id,
        xyxy=xyxy,
        class_id=class_id,
        score=score,
        state=state,
        velocity=(0.0, 0.0),
        age_frames=3,
    )


class Room:
    """The second stages of one run, and the engine."""

    def __init__(self, *, slots: int = 4) -> None:
        self.frames = Slots.create("vigil-test", count=1, height_px=32, width_px=64)
        self.crops = Slots.create("vigil-test-crops", count=slots, height_px=SIDE, width_px=SIDE)
        self.page = Page.create("vigil-test-page", records=1)
        self.link: EngineLink[Transit] = EngineLink(self.frames, self.crops)
        ours, theirs = socket_pair()
        self.link.attach(ours.detach())
        self.engine: Channel[EngineToHost, HostToEngine] = Channel(theirs, HostToEngine)
        self.context = HostContext(
            settings=settings(),
            clock=SystemClock(),
            page=self.page,
            engine=self.link,
            access=Access(SourcePolicy()),
            send=lambda message, *, payload=b"": None,
            post=lambda work: work(),
            worker=Worker("test"),
            pictures=PicturePool(SystemClock(), at_once=1),
        )
        self.stages = SecondStages((TYPE,), self.context)
        self.time_s = 100.0

    def see(self, *tracks: Track, value: int = 200) -> list[CropReady]:
        """One frame, a tenth of a second after the last; the crops that it sends."""
        picture = np.full((80, 120, 3), value, np.uint8)
        self.stages.look(picture, tracks, time_s=self.time_s)
        self.stages.forget(tracks)
        self.time_s += STEP_S
        return self.sent()

    def see_until_sent(self, *tracks: Track, value: int = 200) -> CropReady:
        for _ in range(200):
            if sent := self.see(*tracks, value=value):
                return sent[0]
        raise AssertionError("no crop was sent in 20 s of frames")

    def sent(self) -> list[CropReady]:
        messages = [parcel.message for parcel in self.engine.drain()]
        return [message for message in messages if isinstance(message, CropReady)]

    def answer(self, crop: CropReady, *chances: float) -> None:
        """The engine's answer, taken by the loop; none: it was dropped."""
        probabilities = np.array(chances, np.float32)
        done = CropDone(
            slot=crop.slot,
            outcome="classified" if chances else "dropped_stale",
            probabilities=probabilities.tobytes(),
        )
        self.engine.send(done)
        ((transit, _),) = self.link.results().crops
        if chances:
            transit.classified(probabilities)
        else:
            transit.dropped()

    def free_slots(self) -> int:
        pool = self.link.crops.pool
        taken = []
        while (slot := pool.take()) is not None:
            taken.append(slot)
        for slot in taken:
            pool.give_back(slot)
        return len(taken)

    def close(self) -> None:
        self.link.detach()
        self.engine.close()
        for slots in (self.frames, self.crops):
            slots.slab.close()
        self.page.slab.close()


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.close()


def test_a_crop_shows_the_track_and_what_is_around_it(room: Room) -> None:
    crop = room.see_until_sent(track(), value=37)
    assert crop.classifier == "type"
    pixels = room.crops[crop.slot]
    assert (pixels[:, 4:12] == 37).all(), "the track, 30 px wide and 40 high in the picture"
    assert (pixels[:, 0] == 114).all(), "its aspect is kept"


@pytest.mark.parametrize(
    ("chances", "crops"), [((0.5, 0.5), SETTLED_CROPS), ((0.05, 0.95), SURE_CROPS)]
)
def test_the_first_crop_goes_soon_and_the_next_ones_at_most_once_a_second(
    room: Room, chances: tuple[float, float], crops: int
) -> None:
    began_s = room.time_s
    crop = room.see_until_sent(track())
    assert room.time_s - STEP_S - began_s == pytest.approx(FIRST_S, abs=STEP_S)
    sent_s = [room.time_s]
    for _ in range(crops):
        room.answer(crop, *chances)
        crop = room.see_until_sent(track())
        sent_s.append(room.time_s)
    gaps = np.diff(sent_s)
    assert gaps[:-1].min() >= PERIOD_S - 1e-6
    assert gaps[:-1].max() <= PERIOD_S + STEP_S + 1e-6
    assert gaps[-1] >= SETTLED_S - 1e-6, "a track that is known is looked at less often"


def test_the_best_of_several_frames_is_sent(room: Room) -> None:
    small = (0.25, 0.25, 0.3, 0.4)
    room.see(track(xyxy=small), value=10)
    room.see(track(), value=20)
    room.see(track(xyxy=small), value=30)
    crop = room.see_until_sent(track(xyxy=small), value=40)
    assert room.crops[crop.slot][SIDE // 2, SIDE // 2, 0] == 20


def test_quality_is_size_and_score_and_half_at_the_edge() -> None:
    assert quality(track(), 120, 80) == pytest.approx(0.8 * np.sqrt(30 * 40))
    cut_off = track(xyxy=(0.0, 0.25, 0.25, 0.75))
    assert quality(cut_off, 120, 80) == pytest.approx(0.4 * np.sqrt(30 * 40))
    assert quality(track(xyxy=(0.5, 0.5, 0.55, 0.6)), 120, 80) == 0.0, "too small to show a type"


def test_tracks_of_other_classes_and_unsure_ones_send_nothing(room: Room) -> None:
    others = (
        track(1, class_id=0),
        track(2, state=TrackState.TENTATIVE),
        track(3, state=TrackState.LOST),
        track(4, xyxy=(0.5, 0.5, 0.55, 0.6)),
    )
    assert not [crop for _ in range(30) for crop in room.see(*others)]


def test_votes_are_averaged_over_the_track(room: Room) -> None:
    for chances in ((0.9, 0.1), (0.2, 0.8), (0.7, 0.3)):
        room.answer(room.see_until_sent(track()), *chances)
    assert room.stages.traits == {1: {"type": {"class": "van", "probability": 0.6, "crops": 3}}}


def test_a_track_that_ends_is_counted_by_its_label_and_forgotten(room: Room) -> None:
    room.answer(room.see_until_sent(track()), 0.1, 0.9)
    assert room.stages.forget((track(),)) == []
    assert room.stages.forget(()) == [1]
    assert room.stages.traits == {}
    assert room.stages.forget(()) == []


def test_an_answer_for_a_track_that_is_gone_changes_nothing(room: Room) -> None:
    crop = room.see_until_sent(track())
    room.stages.forget(())
    room.answer(crop, 0.1, 0.9)
    assert room.stages.traits == {}
    assert room.free_slots() == 4


def test_no_crop_goes_while_one_is_out_and_a_dropped_one_is_followed_by_another(
    room: Room,
) -> None:
    crop = room.see_until_sent(track())
    assert not [crop for _ in range(30) for crop in room.see(track())]
    room.answer(crop)
    assert room.see_until_sent(track()).classifier == "type"
    assert room.stages.traits == {}


def test_where_no_slot_is_free_the_crop_goes_later() -> None:
    room = Room(slots=1)
    first = room.see_until_sent(track(1), track(2))
    assert not [crop for _ in range(5) for crop in room.see(track(1), track(2))]
    room.answer(first, 0.9, 0.1)
    second = room.see_until_sent(track(1), track(2))
    room.answer(second, 0.2, 0.8)
    assert {i: t["type"]["class"] for i, t in room.stages.traits.items()} == {1: "van", 2: "taxi"}  # type: ignore[index,call-overload]
    room.close()


def test_an_engine_that_is_gone_costs_a_crop_and_no_slot(room: Room) -> None:
    room.see_until_sent(track(1))
    (lost,) = room.link.detach().crops
    lost.dropped()
    for step in range(30):
        picture = np.zeros((80, 120, 3), np.uint8)
        room.stages.look(picture, (track(1), track(2)), time_s=200.0 + step * STEP_S)
    assert room.free_slots() == 4
    counted = dict(zip(CROP_OUTCOMES, room.page.crops().tolist(), strict=True))
    assert counted["dropped_error"] > 0
    assert counted["classified"] == 0


def test_a_changed_definition_keeps_the_stages_that_stay(room: Room) -> None:
    room.answer(room.see_until_sent(track()), 0.9, 0.1)
    room.stages.change((COLOUR, TYPE))
    assert "type" in room.stages.traits[1]
    crop = room.see_until_sent(track())
    assert crop.classifier == "colour"
    room.answer(crop, 0.1, 0.9)
    assert room.stages.traits[1]["colour"] == {"class": "blue", "probability": 0.9, "crops": 1}
    room.stages.change(())
    assert room.stages.traits == {1: {}}
    assert not [crop for _ in range(30) for crop in room.see(track())]


def test_a_classifier_that_is_not_loaded_any_more_is_left_out(room: Room) -> None:
    stages = SecondStages((SecondStage(classifier="gone"), TYPE), room.context)
    stages.look(np.zeros((80, 120, 3), np.uint8), (track(),), time_s=1.0)
    stages.look(np.zeros((80, 120, 3), np.uint8), (track(),), time_s=2.0)
    assert [crop.classifier for crop in room.sent()] == ["type"]

"""The engine's second stage between a real socket and a classifier that does as its crops say."""

import select
from collections.abc import Iterator

import numpy as np
import pytest

from vigil.data import F32, U8
from vigil.engine.crop_queue import LINGER_S, MAX_AGE_S, MAX_CROPS
from vigil.engine.host_link import HostLink
from vigil.engine.lanes import Lanes
from vigil.engine.second_stage import SecondStage
from vigil.ipc.channel import Channel, socket_pair
from vigil.ipc.messages import CropDone, CropReady, EngineToHost, HostToEngine
from vigil.ipc.slab import Slots
from vigil.metrics.page import Page
from vigil.vision.classifier import CropClassifier

SIDE = 12


class Sorter(CropClassifier):
    """Says of a crop what its first pixel is; 255 makes it fail, 254 makes it say what is no number."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        return (SIDE, SIDE, 3)

    def classify(self, crops: U8) -> F32:
        assert crops.shape[1:] == self.shape
        self.batches.append(len(crops))
        first = crops[:, 0, 0, 0].astype(np.float32)
        if (first == 255).any():
            raise RuntimeError("this crop is poison")
        first[first == 254] = np.nan
        return np.stack([first / 100, 1 - first / 100], axis=1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s


class Bench:
    """One host's link, and the stage."""

    def __init__(self) -> None:
        ours, theirs = socket_pair()
        self.host: Channel[HostToEngine, EngineToHost] = Channel(ours, EngineToHost)
        self.crops = Slots.create("vigil-test-crops", count=40, height_px=16, width_px=16)
        frames = Slots.create("vigil-test", count=1, height_px=8, width_px=8)
        self.link = HostLink(
            "h1", Channel(theirs, HostToEngine), slots=frames, crop_slots=self.crops
        )
        self.page = Page.create("vigil-test-page", records=0)
        self.clock = Clock()
        self.sorter = Sorter()
        self.links = {"h1": self.link}
        self.lanes = Lanes(1, clock=self.clock, prepare=lambda: None)
        self.lanes.__enter__()
        self.stage = SecondStage(
            {"type": self.sorter}, self.links, lanes=self.lanes, page=self.page, clock=self.clock
        )

    def offer(self, slot: int, *, value: int = 30, classifier: str = "type") -> None:
        self.crops[slot][:] = 114
        self.crops[slot][:SIDE, :SIDE] = value
        crop = CropReady(slot=slot, classifier=classifier, ready_s=self.clock.now_s)
        self.stage.offer(self.link, crop)

    def run(self, *, later_s: float = LINGER_S) -> dict[int, CropDone]:
        self.clock.now_s += later_s
        self.stage.run_due()
        while self.lanes.given:
            select.select([self.lanes.wake], [], [], 10.0)
            self.lanes.collect()
        self.link.flush()
        done = [parcel.message for parcel in self.host.drain()]
        return {one.slot: one for one in done if isinstance(one, CropDone)}

    def close(self) -> None:
        self.lanes.__exit__(None, None, None)
        self.host.close()
        self.link.close()
        self.page.slab.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_crops_are_classified_in_batches_and_timed(bench: Bench) -> None:
    for slot, value in enumerate((10, 20, 30)):
        bench.offer(slot, value=value)
    assert bench.run(later_s=0.0) == {}, "others may come"
    answers = bench.run()
    said = {
        slot: np.frombuffer(done.probabilities, np.float32)[0] for slot, done in answers.items()
    }
    assert said == pytest.approx({0: 0.1, 1: 0.2, 2: 0.3})
    assert {done.outcome for done in answers.values()} == {"classified"}
    assert bench.sorter.batches == [3]
    assert bench.page.stage("classify").counts.sum() == 3
    assert bench.page.stage("crop_wait").total == pytest.approx(3 * LINGER_S)


def test_one_batch_goes_at_a_time_so_that_frames_wait_for_no_more(bench: Bench) -> None:
    for slot in range(MAX_CROPS + 8):
        bench.offer(slot)
    assert len(bench.run()) == MAX_CROPS
    assert len(bench.run()) == 8


def test_one_poisonous_crop_costs_the_others_nothing(bench: Bench) -> None:
    for slot, value in enumerate((10, 255, 254, 40)):
        bench.offer(slot, value=value)
    outcomes = {slot: done.outcome for slot, done in bench.run().items()}
    assert outcomes == {
        0: "classified", 1: "dropped_error", 2: "dropped_error", 3: "classified",
    }  # fmt: skip


def test_what_is_too_old_or_for_no_classifier_comes_back(bench: Bench) -> None:
    bench.offer(0)
    bench.offer(1, classifier="unheard-of")
    assert {slot: done.outcome for slot, done in bench.run(later_s=MAX_AGE_S + 1).items()} == {
        0: "dropped_stale",
        1: "dropped_error",
    }


def test_crops_of_a_host_that_is_gone_are_forgotten(bench: Bench) -> None:
    bench.offer(0)
    bench.stage.forget("h1")
    del bench.links["h1"]
    assert bench.run() == {}

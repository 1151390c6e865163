import pytest

from vigil.engine.crop_queue import CropQueue, WaitingCrop
from vigil.ipc.messages import CropReady


def crop(slot: int, *, at_s: float, classifier: str = "type", host: str = "h1") -> WaitingCrop:
    return WaitingCrop(host, CropReady(slot=slot, classifier=classifier, ready_s=at_s))


def filled(*crops: WaitingCrop) -> CropQueue:
    queue = CropQueue(limit=3, linger_s=0.05, max_age_s=1.0)
    for one in crops:
        queue.offer(one)
    return queue


def slots(crops: list[WaitingCrop]) -> list[int]:
    return [one.crop.slot for one in crops]


def test_a_batch_goes_when_its_oldest_crop_has_lingered() -> None:
    queue = filled(crop(0, at_s=10.0), crop(1, at_s=10.04))
    assert queue.wait_s(10.0) == pytest.approx(0.05)
    assert queue.wait_s(10.2) == 0.0
    assert slots(queue.take(10.2)[0]) == [0, 1]
    assert queue.wait_s(10.2) is None
    assert len(queue) == 0


def test_a_full_batch_goes_at_once_and_holds_no_more_than_its_limit() -> None:
    queue = filled(*(crop(n, at_s=10.0) for n in range(5)))
    assert queue.wait_s(10.0) == 0.0
    assert slots(queue.take(10.0)[0]) == [0, 1, 2]
    assert len(queue) == 2


def test_a_batch_is_of_one_classifier_the_longest_waiting_first() -> None:
    queue = filled(crop(0, at_s=10.1), crop(1, at_s=10.0, classifier="colour"), crop(2, at_s=10.2))
    assert slots(queue.take(10.3)[0]) == [1]
    assert slots(queue.take(10.3)[0]) == [0, 2]


def test_crops_that_are_too_old_are_apart() -> None:
    queue = filled(crop(0, at_s=10.0), crop(1, at_s=11.4))
    batch, stale = queue.take(11.5)
    assert (slots(batch), slots(stale)) == ([1], [0])


def test_a_host_that_is_gone_has_nothing_waiting() -> None:
    queue = filled(crop(0, at_s=10.0), crop(1, at_s=10.0, host="h2"))
    queue.forget("h1")
    assert slots(queue.take(10.1)[0]) == [1]
    queue.forget("h2")
    assert queue.wait_s(10.0) is None

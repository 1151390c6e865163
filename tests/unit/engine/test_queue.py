from typing import Any

import pytest

from vigil.engine.queue import BatchQueue, Waiting
from vigil.ipc.messages import FrameReady


def queue(**changes: Any) -> BatchQueue:
    return BatchQueue(**{"limit": 4, "linger_s": 0.01, "max_staleness_s": 1.0, **changes})


def frame(
    camera: int,
    at_s: float,
    *,
    host: str = "h1",
    slot: int = 0,
    priority: int = 1,
    keep: bool = False,
) -> Waiting:
    ready = FrameReady(
        slot=slot, camera=camera, captured_s=at_s, ready_s=at_s, priority=priority, keep=keep
    )
    return Waiting(host, ready, at_s)


def cameras(batch: list[Waiting]) -> list[int]:
    return [waiting.frame.camera for waiting in batch]


def test_nothing_waits_for_nothing() -> None:
    empty = queue()
    assert empty.wait_s(0.0) is None
    assert empty.take(0.0) == ([], [])
    assert empty.oldest_captured_s() is None


def test_a_batch_goes_when_its_first_frame_has_lingered() -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.0))
    waiting.offer(frame(2, 10.008))
    assert 0 < (waiting.wait_s(10.008) or 0) <= 0.002 + 1e-9, "from the first frame, not the last"
    assert waiting.wait_s(10.0101) == 0.0


def test_a_full_batch_goes_at_once() -> None:
    waiting = queue()
    for camera in range(3):
        waiting.offer(frame(camera, 10.0))
    assert waiting.wait_s(10.0) != 0.0
    waiting.offer(frame(3, 10.0))
    assert waiting.wait_s(10.0) == 0.0


def test_the_longest_waiting_go_first() -> None:
    waiting = queue(limit=2)
    for camera, at_s in ((1, 10.3), (2, 10.1), (3, 10.2)):
        waiting.offer(frame(camera, at_s))
    assert cameras(waiting.take(10.4)[0]) == [2, 3]
    assert cameras(waiting.take(10.4)[0]) == [1]
    assert len(waiting) == 0


def test_priority_weighs_waiting_and_silences_nobody() -> None:
    waiting = queue(limit=1)
    waiting.offer(frame(1, 10.0, priority=1))
    waiting.offer(frame(2, 10.15, priority=5))
    assert cameras(waiting.take(10.2)[0]) == [2], "0.05 s five times is more than 0.2 s once"
    waiting.offer(frame(2, 10.2, priority=5))
    assert cameras(waiting.take(10.2)[0]) == [1]


def test_a_newer_frame_takes_the_place_of_the_one_that_waits() -> None:
    waiting = queue()
    assert waiting.offer(frame(1, 10.0, slot=4)) is None
    assert waiting.offer(frame(1, 10.0, host="h2")) is None, "another host's camera 1"
    replaced = waiting.offer(frame(1, 10.2, slot=5))
    assert replaced is not None
    assert replaced.frame.slot == 4
    assert len(waiting) == 2
    assert {w.frame.slot for w in waiting.take(10.3)[0]} == {0, 5}


def test_a_stale_frame_is_given_back_and_never_inferred() -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.0))
    waiting.offer(frame(2, 10.9))
    batch, stale = waiting.take(11.1)
    assert (cameras(batch), cameras(stale)) == ([2], [1])
    assert len(waiting) == 0


def test_frames_to_keep_are_never_replaced_nor_stale_and_stay_in_order() -> None:
    waiting = queue()
    for slot in range(3):
        assert waiting.offer(frame(7, 10.0 + slot, slot=slot, keep=True)) is None
    order = []
    for _ in range(3):
        batch, stale = waiting.take(100.0)
        assert stale == []
        order += [w.frame.slot for w in batch]
        assert len(batch) == 1, "one a stream in a batch"
    assert order == [0, 1, 2]


def test_many_pictures_of_clients_go_in_one_batch() -> None:
    waiting = queue()
    for slot in range(6):
        waiting.offer(frame(-1, 10.0 + slot / 100, slot=slot, keep=True))
    assert waiting.wait_s(10.05) == 0.0, "as many as a batch holds"
    assert [w.frame.slot for w in waiting.take(10.1)[0]] == [0, 1, 2, 3]
    assert [w.frame.slot for w in waiting.take(10.1)[0]] == [4, 5]
    assert waiting.wait_s(10.1) is None


def test_a_host_that_is_gone_is_forgotten() -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.0))
    waiting.offer(frame(2, 10.1, keep=True))
    waiting.offer(frame(1, 10.2, host="h2"))
    waiting.forget("h1")
    assert [w.host_id for w in waiting.take(10.3)[0]] == ["h2"]
    assert len(waiting) == 0


def test_a_frame_of_priority_nought_goes_alone_and_only_while_nothing_else_waits() -> None:
    waiting = queue()
    waiting.offer(frame(9, 10.0, priority=0, keep=True))
    waiting.offer(frame(1, 10.2))
    assert waiting.wait_s(10.2) == pytest.approx(waiting.linger_s), "as if it were not there"
    assert waiting.oldest_captured_s() == 10.2
    assert cameras(waiting.take(10.3)[0]) == [1]
    waiting.offer(frame(2, 10.3, keep=True))
    assert cameras(waiting.take(10.4)[0]) == [2]
    assert waiting.wait_s(10.4) == 0.0
    assert cameras(waiting.take(10.4)[0]) == [9]
    assert len(waiting) == 0


def test_the_oldest_frame_is_told() -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.4))
    waiting.offer(frame(2, 10.2, keep=True))
    assert waiting.oldest_captured_s() == 10.2


def overloaded(priorities: list[int], *, frames_a_second: float, batch: int) -> list[int]:
    """How often each of these streams of 5 fps is analysed in a minute by an engine of that speed."""
    waiting = queue(limit=batch)
    taken = [0] * len(priorities)
    steps = round(60 * frames_a_second / batch)
    due_s = [0.2 * camera / len(priorities) for camera in range(len(priorities))]
    for step in range(steps):
        now_s = step * batch / frames_a_second
        for camera, priority in enumerate(priorities):
            while due_s[camera] <= now_s:
                waiting.offer(frame(camera, due_s[camera], priority=priority))
                due_s[camera] += 0.2
        for each in waiting.take(now_s)[0]:
            taken[each.frame.camera] += 1
    return taken


def test_under_overload_equals_are_analysed_equally_often() -> None:
    taken = overloaded([1] * 40, frames_a_second=80.0, batch=16)
    assert sum(taken) >= 0.95 * 60 * 80
    assert min(taken) >= 0.6 * max(taken)


def test_under_overload_priority_counts_and_nobody_is_silent() -> None:
    taken = overloaded([10] * 24 + [1] * 16, frames_a_second=90.0, batch=16)
    assert min(taken[:24]) > max(taken[24:])
    assert min(taken) >= 20


def test_beside_another_batch_a_small_one_waits_longer_and_a_full_one_does_not() -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.0))
    assert waiting.wait_s(10.0101) == 0.0
    assert waiting.wait_s(10.0101, beside=True) == pytest.approx(0.0399)
    assert waiting.wait_s(10.051, beside=True) == 0.0
    for camera in (2, 3, 4):
        waiting.offer(frame(camera, 10.0))
    assert waiting.wait_s(10.0, beside=True) == 0.0


@pytest.mark.parametrize("keep", [False, True], ids=["newest", "kept"])
def test_a_stream_of_which_a_frame_is_held_waits_until_it_is_released(keep: bool) -> None:
    waiting = queue()
    waiting.offer(frame(1, 10.0, keep=keep))
    (first,), _ = waiting.take(10.1)
    waiting.hold(first)
    waiting.offer(frame(1, 10.2, keep=keep))
    assert waiting.wait_s(11.0) is None, "there is nothing that could go"
    waiting.offer(frame(2, 10.2))
    waiting.offer(frame(1, 10.2, host="h2"))
    assert sorted((w.host_id, w.frame.camera) for w in waiting.take(10.3)[0]) == [
        ("h1", 2),
        ("h2", 1),
    ]
    waiting.release(first)
    assert cameras(waiting.take(10.4)[0]) == [1]


def test_pictures_of_clients_do_not_hold_each_other_up_and_a_host_takes_its_holds_along() -> None:
    waiting = queue()
    waiting.hold(frame(-1, 10.0, keep=True))
    waiting.offer(frame(-1, 10.0, slot=1, keep=True))
    waiting.hold(frame(5, 10.0))
    waiting.forget("h1")
    waiting.offer(frame(-1, 10.0, slot=2, keep=True))
    waiting.offer(frame(5, 10.0))
    assert sorted(cameras(waiting.take(10.1)[0])) == [-1, 5]

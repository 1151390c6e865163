import itertools
import random

from vigil.data import OfflineReason
from vigil.host.backoff import AUTH_LONGEST_S, LONGEST_S, Backoff


def waits(reason: OfflineReason, count: int, seed: int = 1) -> list[float]:
    backoff = Backoff(random.Random(seed))
    return [backoff.next_s(reason) for _ in range(count)]


def test_waits_double_up_to_ten_seconds_with_jitter() -> None:
    for wait_s, whole_s in zip(
        waits(OfflineReason.UNREACHABLE, 8), (1, 2, 4, 8, 10, 10, 10, 10), strict=True
    ):
        assert whole_s / 2 <= wait_s <= whole_s


def test_a_wrong_password_is_tried_slowly() -> None:
    tried = waits(OfflineReason.AUTH_FAILED, 8)
    assert 15 <= tried[0] <= 30
    assert AUTH_LONGEST_S / 2 <= tried[-1] <= AUTH_LONGEST_S


def test_it_goes_on_for_ever() -> None:
    assert LONGEST_S / 2 <= waits(OfflineReason.NO_VIDEO, 5000)[-1] <= LONGEST_S


def test_a_frame_begins_it_again() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(6):
        backoff.next_s(OfflineReason.UNREACHABLE)
    backoff.succeeded()
    assert backoff.next_s(OfflineReason.UNREACHABLE) <= 1.0


def test_a_hundred_cameras_do_not_come_back_at_once() -> None:
    firsts = sorted(waits(OfflineReason.UNREACHABLE, 5, seed)[-1] for seed in range(100))
    assert firsts[-1] - firsts[0] > 4.0
    assert max(b - a for a, b in itertools.pairwise(firsts)) < 0.5

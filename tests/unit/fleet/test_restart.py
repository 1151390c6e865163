from tests.unit.fleet.settings import fleet_settings
from tests.unit.fleet.test_book import Clock
from vigil.fleet.restart import RestartDelay


def test_a_child_that_keeps_dying_waits_longer_and_longer() -> None:
    clock = Clock()
    delay = RestartDelay(fleet_settings(), clock)
    waits = []
    for _ in range(10):
        delay.started()
        clock.now_s += 0.5
        waits.append(delay.next_s())
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 10.0


def test_a_calm_while_begins_it_again() -> None:
    clock = Clock()
    delay = RestartDelay(fleet_settings(), clock)
    for _ in range(5):
        delay.started()
        delay.next_s()
    delay.started()
    clock.now_s += 60.0
    assert delay.next_s() == 0.1


def test_dying_for_years_overflows_nothing() -> None:
    delay = RestartDelay(fleet_settings(), Clock())
    for _ in range(5000):
        delay.started()
        assert delay.next_s() <= 10.0

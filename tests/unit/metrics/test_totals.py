import numpy as np
import pytest

from vigil.metrics.page import Page
from vigil.metrics.totals import AccountTotals, StageTotals


def page(records: int = 2) -> Page:
    return Page.create("vigil-test-page", records=records)


def test_a_stream_keeps_its_account_from_host_to_host() -> None:
    totals, first, second = AccountTotals(), page(), page()
    totals.begin("gate", first, 0)
    ledger = first.ledger(0)
    for _ in range(3):
        ledger.read(10.0)
    ledger.outcome("analysed")
    assert totals.account("gate").in_flight == 2

    totals.end("gate")  # the host died
    lost = totals.account("gate")
    assert (lost.read, lost.in_flight, lost.outcomes["dropped_error"]) == (3, 0, 2)

    totals.begin("gate", second, 1)
    second.ledger(1).read(20.0)
    now = totals.account("gate")
    assert (now.read, now.in_flight, now.last_frame_s) == (4, 1, 20.0)
    totals.end("gate")
    totals.end("gate")  # twice is harmless
    assert totals.account("gate").read == 4
    for each in (first, second):
        each.slab.close()


def test_a_removed_stream_begins_again_at_nothing() -> None:
    totals, only = AccountTotals(), page()
    totals.begin("gate", only, 0)
    only.ledger(0).read(1.0)
    assert totals.account("gate").read == 1
    totals.forget("gate")
    assert totals.account("gate").read == 0
    only.slab.close()


def test_a_writer_that_is_held_up_shows_its_last_balance() -> None:
    """Before, what was in flight looked lost for one scrape, and came back at the next."""
    totals, only = AccountTotals(), page()
    totals.begin("gate", only, 0)
    ledger = only.ledger(0)
    ledger.read(1.0)
    assert totals.account("gate").in_flight == 1
    ledger._cells[0] += 1
    ledger._cells[1] += 1
    held = totals.account("gate")
    assert (held.read, held.in_flight, held.outcomes["dropped_error"]) == (1, 1, 0)
    ledger._cells[2] += 1
    ledger._cells[0] += 1
    assert totals.account("gate").read == 2
    only.slab.close()


def test_outcomes_are_those_of_the_account() -> None:
    totals, first, second = AccountTotals(), page(), page()
    assert totals.outcomes("gate") == totals.account("gate").outcomes
    for each in (first, second):
        totals.begin("gate", each, 0)
        ledger = each.ledger(0)
        ledger.read(1.0, outcome="skipped_rate")
        ledger.read(2.0)
        ledger.outcome("analysed")
        ledger.read(3.0)
        assert totals.outcomes("gate") == totals.account("gate").outcomes
        totals.end("gate")
        assert totals.outcomes("gate") == totals.account("gate").outcomes
        each.slab.close()
    assert totals.outcomes("gate")["skipped_rate"] == 2


def test_stages_are_summed_over_the_living_and_the_dead() -> None:
    totals, first, second = StageTotals(), page(), page()
    assert totals.stages() == {}
    assert totals.batches() is None
    for each in (first, second):
        totals.add_page(each)
        each.times.observe("decode", 0.003)
        each.times.observe_batch(2)
    assert totals.stages()["decode"].counts.sum() == 2
    totals.retire_page(first)
    totals.retire_page(second)
    third = page()
    totals.add_page(third)
    third.times.observe("decode", 0.003)
    decode = totals.stages()["decode"]
    assert (decode.counts.sum(), decode.total) == (3, pytest.approx(0.009))
    batches = totals.batches()
    assert batches is not None
    assert (int(np.sum(batches.counts)), batches.total) == (2, 4)
    third.slab.close()

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from vigil.ipc.slab import Slab
from vigil.metrics.page import (
    BATCH_BUCKETS,
    BUCKETS_S,
    MAX_CLASSES,
    OUTCOMES,
    STAGES,
    Account,
    Page,
)


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.create("vigil-test-page", records=3)
    yield page
    page.slab.close()


def balances(account: Account) -> bool:
    return account.read == sum(account.outcomes.values()) + account.in_flight


def account_of(page: Page, record: int = 0) -> Account:
    account = page.account(record)
    assert account is not None
    return account


def test_a_frame_is_in_flight_until_its_outcome(page: Page) -> None:
    ledger = page.ledger(0)
    ledger.read(1000.0)
    ledger.read(1000.2)
    assert (account_of(page).read, account_of(page).in_flight) == (2, 2)
    ledger.outcome("analysed")
    ledger.outcome("dropped_stale")
    account = account_of(page)
    assert (account.in_flight, ledger.in_flight()) == (0, 0)
    assert {name for name, count in account.outcomes.items() if count} == {
        "analysed",
        "dropped_stale",
    }
    assert account.last_frame_s == 1000.2


def test_records_do_not_touch_each_other(page: Page) -> None:
    page.ledger(1).read(1.0)
    page.ledger(1).detected(np.array([0, 0, 2]))
    assert account_of(page, 0).read == account_of(page, 2).read == 0
    assert account_of(page, 1).detections[:3].tolist() == [2, 0, 1]


def test_classes_without_a_counter_do_not_count_elsewhere(page: Page) -> None:
    page.ledger(0).detected(np.array([MAX_CLASSES - 1, MAX_CLASSES, MAX_CLASSES + 2]))
    assert account_of(page, 0).detections.sum() == 1
    next_record = account_of(page, 1)
    assert (next_record.read, next_record.in_flight) == (0, 0)


def test_a_cleared_record_begins_again(page: Page) -> None:
    ledger = page.ledger(0)
    ledger.read(1.0)
    ledger.clear()
    ledger.read(2.0)
    assert (account_of(page).read, account_of(page).in_flight) == (1, 1)


READER = """
import sys
from vigil.ipc.slab import Slab
from vigil.metrics.page import Page
page = Page(Slab.open(int(sys.argv[1])), records=1)
reads = unbalanced = held_up = 0
last = 0
while reads < 20000:
    account = page.account(0)
    if account is None:
        held_up += 1
        continue
    reads += 1
    unbalanced += account.read != sum(account.outcomes.values()) + account.in_flight
    unbalanced += account.read < last
    last = account.read
print(unbalanced, last)
"""


def test_a_reader_elsewhere_never_sees_an_imbalance_of_two_writing_threads() -> None:
    page = Page.create("vigil-test-page", records=1)
    ledger = page.ledger(0)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(page.slab.fd)],
        pass_fds=(page.slab.fd,),
        stdout=subprocess.PIPE,
        text=True,
    )
    stop = threading.Event()

    def write(first: int) -> None:
        for step in itertools.count(first):
            if stop.is_set():
                return
            ledger.read(float(step))
            ledger.outcome(OUTCOMES[step % len(OUTCOMES)])

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 3)]
    for writer in writers:
        writer.start()
    output, _ = reader.communicate(timeout=60)
    stop.set()
    for writer in writers:
        writer.join()
    unbalanced, last = map(int, output.split())
    assert unbalanced == 0
    assert last > 0
    account = account_of(page)
    assert balances(account)
    assert account.in_flight == 0
    page.slab.close()


def test_a_writer_that_stays_in_the_middle_of_a_change_is_no_account(page: Page) -> None:
    ledger = page.ledger(0)
    ledger.read(1.0)
    ledger._cells[0] += 1  # as a thread that was put to sleep there
    ledger._cells[1] += 1
    assert page.account(0) is None
    ledger._cells[2] += 1
    ledger._cells[0] += 1
    assert account_of(page).read == 2


KILLED = """
import os, signal, sys
from vigil.ipc.slab import Slab
from vigil.metrics.page import Page
ledger = Page(Slab.open(int(sys.argv[1])), records=1).ledger(0)
ledger.read(5.0); ledger.read(6.0); ledger.outcome("analysed")
ledger._cells[0] += 1  # in the middle of an outcome
ledger._cells[2] -= 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_record_of_a_killed_writer_closes_with_a_balance() -> None:
    page = Page.create("vigil-test-page", records=1)
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(page.slab.fd)], pass_fds=(page.slab.fd,), check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert page.account(0) is None
    account = page.final_account(0)
    assert balances(account)
    assert (account.read, account.in_flight) == (2, 0)
    assert account.outcomes["analysed"] == account.outcomes["dropped_error"] == 1
    page.slab.close()


def test_durations_and_batches_fall_into_their_buckets(page: Page) -> None:
    page.times.observe("infer", BUCKETS_S[3])  # a bound is inside its bucket
    page.times.observe("infer", BUCKETS_S[3] * 1.001)
    page.times.observe("infer", 60.0)
    infer = page.stage("infer")
    assert len(infer.counts) == len(BUCKETS_S) + 1
    assert (infer.counts[3], infer.counts[4], infer.counts[-1]) == (1, 1, 1)
    assert infer.total == pytest.approx(60.0 + 2.001 * BUCKETS_S[3])
    assert all(page.stage(stage).counts.sum() == 0 for stage in STAGES if stage != "infer")
    page.times.observe_batch(4)
    page.times.observe_batch(1000)
    batches = page.batches()
    assert batches.counts[BATCH_BUCKETS.index(4)] == batches.counts[len(BATCH_BUCKETS)] == 1
    assert batches.total == 1004


def test_the_heartbeat_and_the_queue_are_seen_by_the_other_side(page: Page) -> None:
    other = Page(Slab.open(os.dup(page.slab.fd)), records=3)
    assert (other.last_beat_s(), other.queue()) == (0.0, (0, 0.0))
    page.beat(12.5)
    page.set_queue(3, 1_800_000_000.25)
    assert (other.last_beat_s(), other.queue()) == (12.5, (3, 1_800_000_000.25))
    other.slab.close()

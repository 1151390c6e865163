import gc
import os
from pathlib import Path

import numpy as np
import pytest

from vigil.ipc.slab import PAGE_BYTES, Slab, Slots, aligned


def memfds() -> int:
    return Path("/proc/self/maps").read_text().count("/memfd:vigil-test")


def test_two_mappings_of_one_slab_see_the_same_bytes() -> None:
    with Slab.create("vigil-test", 3 * PAGE_BYTES) as ours, Slab.open(os.dup(ours.fd)) as theirs:
        assert theirs.size_bytes == 3 * PAGE_BYTES
        assert not theirs.bytes.any()
        ours.bytes[5] = 42
        assert theirs.bytes[5] == 42


def test_a_slab_goes_with_its_last_array() -> None:
    gc.collect()  # what earlier tests left
    before = memfds()
    slab = Slab.create("vigil-test", PAGE_BYTES)
    kept = slab.bytes[:10]
    slab.close()
    slab.close()  # twice is harmless
    kept[0] = 1  # the mapping outlives the descriptor
    assert memfds() == before + 1
    del slab, kept
    gc.collect()
    assert memfds() == before


def test_sizes_are_rounded_up_to_pages() -> None:
    assert [aligned(size) for size in (1, PAGE_BYTES, PAGE_BYTES + 1)] == [
        PAGE_BYTES,
        PAGE_BYTES,
        2 * PAGE_BYTES,
    ]


def test_slots_do_not_touch_each_other() -> None:
    slots = Slots.create("vigil-test", count=3, height_px=33, width_px=65)
    with slots.slab:
        for slot in range(3):
            slots[slot][:] = slot + 1
        for slot in range(3):
            assert slots[slot].shape == (33, 65, 3)
            assert (slots[slot] == slot + 1).all()


def test_a_reader_finds_as_many_slots_as_the_writer_made() -> None:
    written = Slots.create("vigil-test", count=5, height_px=64, width_px=96)
    with written.slab, Slab.open(os.dup(written.slab.fd)) as slab:
        read = Slots(slab, height_px=64, width_px=96)
        assert read.count == written.count == 5
        written[4][:] = np.arange(64 * 96 * 3, dtype=np.uint32).reshape(64, 96, 3) % 251
        assert (read[4] == written[4]).all()


def test_a_slot_that_is_not_there_is_an_error() -> None:
    slots = Slots.create("vigil-test", count=2, height_px=32, width_px=32)
    with slots.slab:
        for slot in (-1, 2):
            with pytest.raises(IndexError):
                slots[slot]

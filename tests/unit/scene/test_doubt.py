"""Beginnings of what holds surely, possibly or not."""

import numpy as np

from vigil.scene.doubt import Doubt, beginnings

TIMES_S = np.arange(0.0, 10.0, 0.1)


def mask(*spans):
    return np.any([(span[0] <= TIMES_S) & (span[1] > TIMES_S) for span in spans], axis=0)


def begun(sure, possible, **more):
    found = beginnings(Doubt(sure, possible), TIMES_S, lasts_s=1.0, **more)
    return [(round(one.time_s, 1), one.sure) for one in found]


def test_what_surely_lasts_has_begun_in_the_middle_of_its_doubt():
    assert begun(mask((3.4, 6.0)), mask((3.0, 6.4)))[0] == (3.2, True)


def test_what_is_doubtful_for_long_need_not_be_told():
    sure, possible = mask((5.0, 8.0)), mask((3.0, 8.0))
    assert not any(is_sure for _, is_sure in begun(sure, possible))
    assert begun(sure, possible, latest_s=2.5)[0] == (4.0, True)


def test_what_is_short_has_not_begun():
    assert begun(mask((3.0, 3.5)), mask((3.0, 3.5))) == []


def test_a_gap_of_doubt_may_be_a_new_beginning():
    found = begun(mask((2.0, 4.0), (5.0, 8.0)), mask((2.0, 8.0)))
    assert found[0] == (2.0, True)
    assert all(not is_sure for _, is_sure in found[1:])
    assert found[-1][0] >= 4.5


def test_a_short_gap_is_calm():
    spans = (2.0, 4.0), (4.5, 8.0)
    assert sum(is_sure for _, is_sure in begun(mask(*spans), mask(*spans))) == 2
    calm = begun(mask(*spans), mask(*spans), calm_s=1.0)
    assert sum(is_sure for _, is_sure in calm) == 1


def test_only_what_is_noticed_is_asked_for():
    sure = mask((3.0, 8.0))
    for noticed, expected in ((mask((6.0, 8.0)), True), (mask((8.5, 9.0)), False)):
        doubt = Doubt(sure, sure, noticed=noticed)
        assert beginnings(doubt, TIMES_S, lasts_s=1.0)[0].sure is expected


def test_blurring_shortens_what_is_sure_and_widens_what_is_possible():
    doubt = Doubt(mask((3.0, 6.0)), mask((3.0, 6.0))).blurred(TIMES_S, 0.5)
    assert np.array_equal(doubt.sure, mask((3.45, 5.45)))
    assert np.array_equal(doubt.possible, mask((2.45, 6.45)))

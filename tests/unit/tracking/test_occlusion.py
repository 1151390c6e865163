import pytest

from vigil.tracking.occlusion import whole_box

EXPECTED = (0.5, 0.5, 0.1, 0.4)  # from 0.3 to 0.7
UPPER = (0.5, 0.4, 0.1, 0.2)  # down to 0.5
BEFORE = (0.5, 0.7, 0.1, 0.4)


def test_a_box_whose_foot_is_hidden_reaches_down_to_where_it_was_expected():
    assert whole_box(UPPER, EXPECTED, [UPPER, BEFORE], short=0.1) == pytest.approx(EXPECTED)


@pytest.mark.parametrize(
    ("box", "others"),
    [
        (UPPER, []),
        (UPPER, [UPPER]),
        (UPPER, [(0.7, 0.7, 0.1, 0.4)]),  # beside it
        (UPPER, [(0.5, 0.55, 0.1, 0.2)]),  # ends above its foot: is behind it
        ((0.5, 0.3, 0.1, 0.2), [BEFORE]),  # its top moved, too: it went away
        ((0.5, 0.485, 0.1, 0.37), [BEFORE]),  # hardly shorter
        ((0.5, 0.55, 0.1, 0.5), [BEFORE]),  # taller
    ],
)
def test_any_other_box_stays_as_it_is(box, others):
    assert whole_box(box, EXPECTED, others, short=0.1) == box

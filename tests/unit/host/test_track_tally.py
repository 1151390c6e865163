from vigil.data import Track, TrackState
from vigil.host.track_tally import BLOCK, TrackBlock, TrackTally

MIDDLE, EDGE = (0.4, 0.4, 0.5, 0.6), (0.0, 0.4, 0.1, 0.6)


def track(number: int, xyxy: tuple[float, float, float, float], score: float = 0.8) -> Track:
    return Track(number, xyxy, 0, score, TrackState.CONFIRMED, (0.0, 0.0), 5)


def ended(tally: TrackTally, count: int, *, first: int = 0, **of: object) -> TrackBlock | None:
    """So many tracks, each seen in two frames and then gone."""
    block = None
    for number in range(first, first + count):
        for tracks in ((track(number, **of),), (track(number, **of),), ()):  # type: ignore[arg-type]
            block = tally.take(1, tracks) or block
    return block


def test_a_block_is_the_mean_of_its_tracks_and_the_share_lost_within_the_picture() -> None:
    tally = TrackTally()
    assert ended(tally, 20, xyxy=EDGE, score=0.9) is None
    block = ended(tally, BLOCK - 20, first=20, xyxy=MIDDLE, score=0.4)
    assert block is not None
    assert abs(block.score - (20 * 0.9 + 5 * 0.4) / 25) < 1e-9
    assert block.fragments == 5 / 25


def test_tracks_that_a_runs_end_cuts_off_do_not_count() -> None:
    tally = TrackTally()
    ended(tally, BLOCK - 1, xyxy=EDGE)
    tally.take(1, (track(99, MIDDLE),))
    assert tally.take(2, ()) is None
    assert tally.take(2, (track(1, EDGE),)) is None
    assert tally.take(2, ()) is not None, "the twenty-fifth of all runs"


def test_tentative_tracks_do_not_count() -> None:
    tally = TrackTally()
    for number in range(2 * BLOCK):
        doubtful = Track(number, MIDDLE, 0, 0.3, TrackState.TENTATIVE, (0.0, 0.0), 1)
        assert tally.take(1, (doubtful,)) is None
        assert tally.take(1, ()) is None

"""Needs TrackEval: pip install --no-deps trackeval==1.3.0 tabulate (motmetrics==1.4.0 for its clips)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from vigil.accuracy.tracking import Identified, read_mot, score_tracks
from vigil.data import Track, TrackState

pytest.importorskip("trackeval")


def frames(*rows):
    """Each row: {number: (x, y)} of unit boxes."""
    return [
        Identified(
            number=np.array(list(row), np.int64),
            xyxy=np.array([(x, y, x + 1, y + 1) for x, y in row.values()]).reshape(-1, 4),
        )
        for row in rows
    ]


def clip_of_motmetrics(name):
    spec = importlib.util.find_spec("motmetrics")
    if spec is None or spec.origin is None:
        pytest.skip("the published clips come with motmetrics; pip install --no-deps motmetrics")
    folder = Path(spec.origin).parent / "data" / name
    truth, tracks = read_mot(folder / "gt.txt"), read_mot(folder / "test.txt")
    none = Identified(np.zeros(0, np.int64), np.zeros((0, 4)))
    numbers = range(1, max(truth) + 1)
    return [truth.get(n, none) for n in numbers], [tracks.get(n, none) for n in numbers]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("TUD-Campus", (55.8, 58.2, 94.1, 13, 150, 7, 7, 52.6, 72.3)),
        ("TUD-Stadtmitte", (64.5, 60.9, 94.0, 45, 452, 7, 6, 56.4, 65.4)),
    ],
)
def test_the_published_figures_of_motchallenges_examples_are_reproduced(name, published):
    """As MOTChallenge's devkit prints them; quoted in the README of py-motmetrics."""
    scores = score_tracks(*clip_of_motmetrics(name))
    idf1, recall, precision, false_positives, misses, switches, fragments, mota, motp = published
    assert 100 * scores.idf1 == pytest.approx(idf1, abs=0.06)
    assert 100 * scores.recall == pytest.approx(recall, abs=0.06)
    assert 100 * scores.precision == pytest.approx(precision, abs=0.06)
    assert (scores.false_positives, scores.misses) == (false_positives, misses)
    assert (scores.id_switches, scores.fragments) == (switches, fragments)
    assert 100 * scores.mota == pytest.approx(mota, abs=0.06)
    assert 100 * scores.motp == pytest.approx(motp, abs=0.06)


def test_perfect_tracks_score_one():
    truth = frames({1: (0, 0), 2: (5, 0)}, {1: (1, 0), 2: (6, 0)})
    named_otherwise = frames({17: (0, 0), 4: (5, 0)}, {17: (1, 0), 4: (6, 0)})
    scores = score_tracks(truth, named_otherwise)
    assert (scores.mota, scores.idf1, scores.hota) == (1.0, 1.0, pytest.approx(1.0))
    assert (scores.truth_boxes, scores.frames) == (4, 2)


def test_a_swap_of_identities_costs_identity_and_not_detection():
    truth = frames(*[{1: (0, 0), 2: (5, 0)}] * 4)
    swapped = frames(*[{1: (0, 0), 2: (5, 0)}] * 2, *[{2: (0, 0), 1: (5, 0)}] * 2)
    scores = score_tracks(truth, swapped)
    assert scores.id_switches == 2
    assert scores.mota == pytest.approx(1 - 2 / 8)
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.detection_accuracy == pytest.approx(1.0)
    assert scores.association_accuracy == pytest.approx(1 / 3)


def test_misses_and_ghosts_are_counted():
    truth = frames({1: (0, 0)}, {1: (0, 0)}, {})
    tracks = frames({1: (0, 0)}, {}, {1: (9, 9)})
    scores = score_tracks(truth, tracks)
    assert (scores.misses, scores.false_positives) == (1, 1)
    assert scores.mota == pytest.approx(0.0)


def test_nothing_found_scores_nothing():
    scores = score_tracks(frames({1: (0, 0)}), frames({}))
    assert (scores.mota, scores.idf1, scores.hota) == (0.0, 0.0, 0.0)
    assert scores.misses == 1


def test_clips_of_different_length_are_refused():
    with pytest.raises(ValueError, match="give both alike"):
        score_tracks(frames({}), [])


def test_only_confirmed_and_seen_tracks_are_judged():
    tracks = [
        Track(number, (0.1, 0.1, 0.2, 0.2), 0, 0.9, state, (0.0, 0.0), 5)
        for number, state in enumerate(TrackState, start=1)
    ]
    assert Identified.of_tracks(tracks).number.tolist() == [2]


def test_boxes_that_the_truth_marks_as_left_out_are_not_read(tmp_path):
    path = tmp_path / "clip.mot.txt"
    path.write_text("1,7,10,20,30,40,1,-1,-1,-1\n1,8,0,0,5,5,0,-1,-1,-1\n3,7,11,20,30,40,1\n")
    truth = read_mot(path)
    assert set(truth) == {1, 3}
    assert truth[1].number.tolist() == [7]
    np.testing.assert_array_equal(truth[1].xyxy, [[10, 20, 40, 60]])

import cv2
import numpy as np
import pytest

from vigil.accuracy.mot_events import foot_points, labelled_moments, random_rules
from vigil.accuracy.tracking import Identified
from vigil.errors import InvalidConfig
from vigil.scene.truth import truth_events
from vigil.spec import LineRule, Point, Source, StreamSpec, ZoneRule, violations

SIZE_PX = (200, 100)


def labels(path):
    """One person, 20 px wide and 40 px high, whose feet go along ``path`` (pixels), a frame each."""
    return {
        number: Identified(np.array([5]), np.array([[x - 10, y - 40, x + 10, y]], np.float64))
        for number, (x, y) in enumerate(path, 1)
    }


def test_labels_become_objects_with_times_and_normalised_boxes():
    (first, objects), (second, _) = labelled_moments(
        labels([(50, 60), (60, 60)]), size_px=SIZE_PX, fps=10.0
    )
    assert (first, second) == (0.0, 0.1)
    assert objects[0].object_id == 5
    assert objects[0].xyxy == pytest.approx((0.2, 0.2, 0.3, 0.6))


def test_truth_of_labels_is_what_their_feet_do():
    path = [(20 + 2 * n, 60) for n in range(60)]
    line = LineRule(rule_id="l", points=(Point(0.5, 0.0), Point(0.5, 1.0)))
    (event,) = truth_events(labelled_moments(labels(path), size_px=SIZE_PX, fps=10.0), [line])
    assert (event.type, event.direction) == ("line.cross", "left")
    assert event.time_s == pytest.approx(4.0)


def test_random_rules_lie_where_people_walk_and_are_accepted_and_repeatable():
    rng = np.random.default_rng(0)
    feet = rng.uniform((0.1, 0.3), (0.9, 0.9), (500, 2))
    rules = random_rules(feet, count=60, seed=3)
    assert [type(rule) for rule in rules[:2]] == [LineRule, ZoneRule]
    assert rules == random_rules(feet, count=60, seed=3)
    assert rules != random_rules(feet, count=60, seed=4)
    spec = StreamSpec(stream_id="s", source=Source(uri="rtsp://camera/1"), rules=rules)
    assert violations(spec) == []
    hull = cv2.convexHull(feet.astype(np.float32))
    for rule in rules:
        for point in rule.points if isinstance(rule, LineRule) else rule.polygon:
            assert cv2.pointPolygonTest(hull, tuple(map(float, point)), measureDist=False) >= 0


def test_people_who_keep_to_one_spot_leave_no_room_for_rules():
    feet = foot_points(labels([(50, 60), (52, 61), (51, 63)]), size_px=SIZE_PX)
    with pytest.raises(InvalidConfig, match="too small a place"):
        random_rules(feet, count=2, seed=1)

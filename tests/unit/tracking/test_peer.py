"""Side by side with Roboflow's `trackers`, where it and TrackEval are installed.

pip install --no-deps trackers==2.6.1 supervision pydeprecate defusedxml tqdm pyyaml requests \
    trackeval==1.3.0 tabulate
(without --no-deps both bring a second build of OpenCV, which replaces the headless one)
"""

import time

import numpy as np
import pytest

from tests.unit.tracking.scenes import wanderers
from vigil.accuracy.tracking import Identified, score_tracks
from vigil.tracking import Tracker

pytest.importorskip("trackeval")
peer = pytest.importorskip("trackers", exc_type=ImportError)
supervision = pytest.importorskip("supervision")

PIXELS = np.array([1920, 1080, 1920, 1080])


def ours(scene):
    tracker = Tracker()
    begun_s = time.thread_time()
    answers = [
        tracker.advance(found, time_s=scene.step_s * n) for n, found in enumerate(scene.detections)
    ]
    spent_s = time.thread_time() - begun_s
    frames = [Identified.of_tracks(tracks) for tracks in answers]
    return [Identified(frame.number, frame.xyxy * PIXELS) for frame in frames], spent_s


def theirs(scene, tracker):
    frames = []
    begun_s = time.thread_time()
    for n, found in enumerate(scene.detections):
        answer = tracker.update(
            supervision.Detections(
                xyxy=found.xyxy.astype(np.float64) * PIXELS,
                confidence=found.score.astype(np.float64),
                class_id=found.class_id,
            ),
            timestamp=scene.step_s * n,
        )
        shown = answer.tracker_id >= 0
        frames.append(Identified(answer.tracker_id[shown].astype(np.int64), answer.xyxy[shown]))
    return frames, time.thread_time() - begun_s


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ByteTrackTracker", {"track_activation_threshold": 0.45, "high_conf_det_threshold": 0.4}),
        ("OCSORTTracker", {"minimum_consecutive_frames": 2, "high_conf_det_threshold": 0.4}),
        ("CBIoUTracker", {"track_activation_threshold": 0.45, "high_conf_det_threshold": 0.4}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_at_five_frames_a_second_it_is_more_right_than_the_peer_in_less_time(name, settings):
    scene = wanderers(seed=1, objects=10, frames=150)
    truth = [Identified(np.arange(len(boxes)), boxes * PIXELS) for boxes in scene.truth]
    own_tracks, own_s = ours(scene)
    peer_tracks, peer_s = theirs(scene, getattr(peer, name)(frame_rate=5.0, **settings))
    own, other = score_tracks(truth, own_tracks), score_tracks(truth, peer_tracks)
    assert own.mota > other.mota
    assert own.idf1 > other.idf1
    assert own.hota > other.hota
    assert own_s < peer_s

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vigil.cli import evaluate_tracking
from vigil.cli.offline import Found
from vigil.data import Detections, Track, TrackState

pytest.importorskip("trackeval")

SIZE_PX = (160, 120)


class Follower:
    """In place of detector and tracker: one person, always where the labels have it."""

    def __init__(self, *args, **more) -> None:
        self.times_s: list[float] = []

    def frame(self, image, time_s: float) -> Found:
        self.times_s.append(time_s)
        box = (0.25, 0.25, 0.5, 0.75)
        track = Track(7, box, 0, 0.9, TrackState.CONFIRMED, (0.0, 0.0), 3)
        return Found(Detections.empty(), Detections.empty(), (track,), ())


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, SIZE_PX)
    for _ in range(20):
        writer.write(np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8))
    writer.release()
    lines = [f"{number},1,40,30,40,60,1,-1,-1,-1" for number in range(1, 21)]
    (tmp_path / "clip.mot.txt").write_text("\n".join(lines[:10]))  # nobody in the second half
    return path


def run(monkeypatch, clip, *options):
    monkeypatch.setattr(evaluate_tracking, "Offline", Follower)
    monkeypatch.setattr(evaluate_tracking, "load_manifest", lambda *args, **more: None)
    truth = clip.with_name("clip.mot.txt")
    arguments = ["--video", str(clip), "--truth", str(truth), "--json", *options]
    return CliRunner().invoke(evaluate_tracking.tracking, arguments)


def figures(result):
    return json.loads(result.stdout)


def test_five_frames_a_second_are_analysed_and_judged(monkeypatch, clip):
    result = run(monkeypatch, clip)
    assert result.exit_code == 0, result.output
    answer = figures(result)
    assert answer["frames"] == 10
    assert answer["truth_boxes"] == 5
    assert answer["false_positives"] == 5
    assert answer["mota"] == 0.0


def test_only_the_frames_that_are_asked_for_are_judged(monkeypatch, clip):
    answer = figures(run(monkeypatch, clip, "--frames", "1-10"))
    assert (answer["frames"], answer["mota"], answer["idf1"]) == (5, 1.0, 1.0)


@pytest.mark.parametrize("value", ["9-3", "0-5", "5", "a-b", "-"])
def test_a_wrong_range_is_refused(monkeypatch, clip, value):
    result = run(monkeypatch, clip, f"--frames={value}")
    assert result.exit_code == 2
    assert "is no range of frames" in result.output


@pytest.mark.parametrize("rate", ["-1", "0", "61"])
def test_a_rate_that_cannot_be_is_a_usage_error(tmp_path, rate):
    clip, truth = tmp_path / "clip.mp4", tmp_path / "clip.mot.txt"
    clip.touch()
    truth.touch()
    arguments = ["--video", str(clip), "--truth", str(truth), "--detect-fps", rate]
    result = CliRunner().invoke(evaluate_tracking.tracking, arguments)
    assert result.exit_code == 2
    assert "--detect-fps" in result.output

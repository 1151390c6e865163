import json

import pytest
from click.testing import CliRunner

from vigil.accuracy.events import Claim, EventScores
from vigil.cli import evaluate_events
from vigil.scene.truth import TruthEvent


def truth(kind="zone.enter"):
    return TruthEvent(1.0, "z", kind, 1, "person")


def claim(kind="zone.enter"):
    return Claim(1.0, "z", kind, "")


@pytest.mark.parametrize(
    "options", [[], ["--scenes", "1", "--video", __file__], ["--video", __file__]]
)
def test_a_video_with_its_truth_or_scenes_must_be_given(options):
    result = CliRunner().invoke(evaluate_events.events, options)
    assert result.exit_code == 2
    assert "give --video with --truth or --events, or --scenes" in result.output


def test_figures_of_several_clips_are_pooled_by_type(monkeypatch):
    scores = EventScores(
        matched=((truth(), claim()), (truth("line.cross"), claim("line.cross"))),
        misses=(truth(),),
        false_alarms=(claim("line.cross"),),
        excused=(claim(), claim(), claim("line.cross")),
    )
    monkeypatch.setattr(evaluate_events, "load_manifest", lambda *args, **more: None)
    monkeypatch.setattr(evaluate_events._Player, "rendered", lambda *_, **more: scores)
    result = CliRunner().invoke(
        evaluate_events.events, ["--scenes", "2", "--duration", "5", "--kind", "demo", "--json"]
    )
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["precision"] == pytest.approx(4 / 6, abs=1e-4)
    assert figures["recall"] == pytest.approx(4 / 6, abs=1e-4)
    assert figures["types"]["zone.enter"]["recall_of"] == [2, 4]
    assert figures["types"]["line.cross"]["precision_of"] == [2, 4]
    low, high = figures["precision_95"]
    assert low < figures["precision"] < high


def test_the_table_of_scenes_says_what_is_required_and_whether_it_is_met(monkeypatch):
    few = EventScores(
        matched=((truth(), claim()),) * 99, misses=(), false_alarms=(claim(),), excused=()
    )
    short = EventScores(
        matched=((truth("intrusion"), claim("intrusion")),) * 1000,
        misses=(truth("intrusion"),) * 100,
        false_alarms=(),
        excused=(),
    )
    told = iter((few, short))
    monkeypatch.setattr(evaluate_events, "load_manifest", lambda *args, **more: None)
    monkeypatch.setattr(evaluate_events._Player, "rendered", lambda *_, **more: next(told))
    result = CliRunner().invoke(evaluate_events.events, ["--scenes", "2", "--duration", "5"])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["zone.enter"].rstrip().endswith("0.98 met, on fewer than 1,000 events")
    assert lines["intrusion"].rstrip().endswith("0.95 not met")


def test_without_pixels_rules_at_random_are_judged_from_true_boxes_alone(monkeypatch):
    def nothing(*_, **__):
        raise AssertionError("no detector is wanted")

    monkeypatch.setattr(evaluate_events, "Runner", nothing)
    options = ["--scenes", "1", "--duration", "6", "--kind", "plaza", "--no-pixels", "--json"]
    result = CliRunner().invoke(evaluate_events.events, [*options, "--random-rules", "70"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert "types" not in figures
    assert figures["true_boxes"]["types"]["line.cross"]["recall_of"][1] > 0
    refused = CliRunner().invoke(evaluate_events.events, options)
    assert refused.exit_code == 2
    assert "--no-pixels is for scenes with --random-rules" in refused.output

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
        excused=3,
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

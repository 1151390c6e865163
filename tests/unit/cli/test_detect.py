"""`vigil detect` with a model that says the same of every picture."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.support import models
from vigil.cli import main
from vigil.cli.detect_output import moved
from vigil.cli.offline import Video
from vigil.data import Track, TrackState

ZONE = "low:0,0;1,0;1,1;0,1"


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.install_grid_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "still.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (192, 128))
    for grey in range(20):
        writer.write(np.full((128, 192, 3), 60 + grey, np.uint8))
    writer.release()
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((128, 192, 3), 100, np.uint8))
    return path


def run(models_dir: Path, *arguments: object) -> Result:
    runner = CliRunner(env={"VIGIL_MODELS_DIR": str(models_dir)})
    given = [str(argument) for argument in arguments]
    return runner.invoke(main, ["detect", *given, "--model", models.NAME, "--device", "cpu"])


def json_lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_picture_gives_one_line_and_a_drawing(
    models_dir: Path, picture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    result = run(models_dir, picture, "--json", "--output", out)
    assert result.exit_code == 0, result.output
    (line,) = json_lines(result)
    found = line["detections"]
    assert isinstance(found, list)
    assert len(found) == models.BOXES
    assert found[0]["class"] == "person"
    assert found[0]["score"] == pytest.approx(models.SCORE, abs=0.01)
    assert all(0 <= n <= 1 for n in found[0]["bbox"])
    drawn = cv2.imread(str(out))
    assert drawn is not None
    assert drawn.shape == (128, 192, 3)
    assert (drawn != 100).any()
    assert "person 6" in result.stderr


def test_without_json_stdout_is_empty(models_dir: Path, picture: Path) -> None:
    result = run(models_dir, picture)
    assert result.exit_code == 0
    assert result.stdout == ""


def test_a_folders_pictures_are_each_drawn(models_dir: Path, picture: Path, tmp_path: Path) -> None:
    result = run(models_dir, picture.parent, "--json", "--output", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    assert len(json_lines(result)) == 1
    assert (tmp_path / "drawn" / "grey.jpg").exists()


def test_a_videos_due_frames_have_tracks_and_events(
    models_dir: Path, video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    result = run(models_dir, video, "--json", "--output", out, "--zone", ZONE, "--detect-fps", 5)
    assert result.exit_code == 0, result.output
    lines = json_lines(result)
    assert [line["frame"] for line in lines] == list(range(0, 20, 2))
    tracks = lines[-1]["tracks"]
    assert isinstance(tracks, list)
    assert len({track["track_id"] for track in tracks}) == models.BOXES
    events = [event for line in lines for event in line["events"]]  # type: ignore[attr-defined]
    assert {event["type"] for event in events} == {"zone.enter"}
    assert len(events) == models.BOXES
    assert "entered low" in result.stderr
    with Video(out) as drawn:
        assert drawn.size_px == (192, 128)
        assert len(list(drawn.play(detect_fps=0.0, convert_all=True))) == 20


def test_rules_may_come_from_a_file(models_dir: Path, video: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(
        '[{"rule_id": "all", "zone": {"polygon": [{"x": 0, "y": 0}, {"x": 1, "y": 0},'
        ' {"x": 1, "y": 1}, {"x": 0, "y": 1}]}}]'
    )
    result = run(models_dir, video, "--json", "--rules", rules)
    assert result.exit_code == 0, result.output
    assert '"rule_id": "all"' in result.stdout
    rules.write_text(
        '[{"rule_id": "a", "track": {}, "voted": [{"classifier": "type", "classes": ["van"]}]}]'
    )
    result = run(models_dir, video, "--rules", rules)
    assert result.exit_code == 2
    assert "by the service only" in result.output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--zone", "low:0,0;1,1"], 2, "give 3 to 64"),
        (["--zone", "low:0,nan;1,1;0,1"], 2, "fractions of the picture"),
        (["--class", "unicorn"], 2, "finds person, car, dog"),
        (["--output", "/nowhere/out.png"], 1, "cannot write"),
    ],
)
def test_what_is_wrong_is_said(
    models_dir: Path, picture: Path, arguments: list[str], status: int, message: str
) -> None:
    result = run(models_dir, picture, *arguments)
    assert result.exit_code == status
    assert message in result.output


def test_text_and_nothing_are_no_videos(models_dir: Path, tmp_path: Path) -> None:
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.png"
    text.write_text("not a video")
    empty.write_bytes(b"")
    for path in (text, empty):
        result = run(models_dir, path)
        assert result.exit_code == 1
        assert path.name in result.output
        assert "Traceback" not in result.output


def test_an_unknown_model_names_the_installed(models_dir: Path, picture: Path) -> None:
    result = CliRunner(env={"VIGIL_MODELS_DIR": str(models_dir)}).invoke(
        main, ["detect", str(picture), "--model", "other"]
    )
    assert result.exit_code == 1
    assert models.NAME in result.output


def test_boxes_move_on_between_analysed_frames() -> None:
    track = Track(1, (0.1, 0.2, 0.3, 0.4), 0, 0.9, TrackState.CONFIRMED, (0.5, -0.25), 3)
    assert moved(track, 0.2).xyxy == pytest.approx((0.2, 0.15, 0.4, 0.35))

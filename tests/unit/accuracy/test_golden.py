"""Figures of golden clips whose answers are worked out by hand, and folders of clips."""

from pathlib import Path

import pytest

from tests.support.videos import HEIGHT_PX, WIDTH_PX, write_clip
from tests.unit.api.memory_fleet import an_event
from vigil.accuracy.golden import Figure, by_metric, figures_of
from vigil.accuracy.golden_clips import ClipTruth, clips_in, truth_of
from vigil.accuracy.mot import UnreadableBoxes
from vigil.errors import InvalidConfig
from vigil.fleet.golden import GoldenBox, GoldenFrame, PlayedClip
from vigil.scene.compose import SceneObject
from vigil.scene.truth import TruthEvent
from vigil.spec import LineRule, Point

LINE = LineRule(rule_id="across", points=(Point(0, 0.5), Point(1, 0.5)))
HERE, THERE = (0.1, 0.1, 0.3, 0.5), (0.6, 0.1, 0.8, 0.5)
FRAMES = 20


def thing(number: int, xyxy: tuple[float, ...], visible: float = 1.0) -> SceneObject:
    return SceneObject(number, "person", xyxy, visible, 1.0)  # type: ignore[arg-type]


def box(xyxy: tuple[float, ...], score: float = 0.9, track_id: int = -1) -> GoldenBox:
    return GoldenBox("person", score, xyxy, track_id)  # type: ignore[arg-type]


def frame(index: int, *found: GoldenBox, below: tuple[GoldenBox, ...] = ()) -> GoldenFrame:
    tracks = tuple(GoldenBox("person", b.score, b.xyxy, 1 + i) for i, b in enumerate(found))
    return GoldenFrame(index=index, found=found, below=below, tracks=tracks)


def figures(truth: ClipTruth, *frames: GoldenFrame, **changes: object) -> dict[str, dict]:
    played = PlayedClip(name="a", start_s=100.0, frames=frames, events=(), **changes)  # type: ignore[arg-type]
    return {k: dict(v) for k, v in by_metric(figures_of([(truth, played)])).items()}


def test_half_found_and_half_right_is_half() -> None:
    """One of two people found, and as many boxes on nobody."""
    objects = {i: (thing(1, HERE), thing(2, THERE)) for i in range(FRAMES)}
    truth = ClipTruth(objects=objects, classes=frozenset({"person"}))
    nobody = (0.4, 0.6, 0.5, 0.9)
    told = figures(truth, *(frame(i, box(HERE), box(nobody, 0.5)) for i in range(FRAMES)))
    assert told["precision"] == told["recall"] == {"person": 0.5, "all": 0.5}
    assert told["map50"]["person"] == pytest.approx(0.5), "the true boxes score higher"
    assert told["mota"]["person"] == pytest.approx(0.0), "as many false as missed as found"
    assert told["idf1"]["person"] == pytest.approx(0.5)


def test_boxes_below_the_threshold_count_for_the_curve_only() -> None:
    objects = {i: (thing(1, HERE), thing(2, THERE)) for i in range(FRAMES)}
    truth = ClipTruth(objects=objects, classes=frozenset({"person"}))
    frames = [frame(i, box(HERE), below=(box(THERE, 0.1),)) for i in range(FRAMES)]
    told = figures(truth, *frames)
    assert told["recall"]["person"] == 0.5
    assert told["map50"]["person"] == pytest.approx(1.0)


def test_who_is_hidden_need_not_be_found_and_may_be() -> None:
    objects = {i: (thing(1, HERE), thing(2, THERE, visible=0.1)) for i in range(FRAMES)}
    truth = ClipTruth(objects=objects, classes=frozenset({"person"}))
    found = [frame(i, box(HERE), box(THERE)) for i in range(FRAMES)]
    missed = [frame(i, box(HERE)) for i in range(FRAMES)]
    assert figures(truth, *found) == figures(truth, *missed)
    assert figures(truth, *found)["mota"]["person"] == 1.0


def test_frames_without_labels_and_classes_without_labels_are_not_judged() -> None:
    truth = ClipTruth(
        objects={i: (thing(1, HERE),) for i in range(FRAMES)}, classes=frozenset({"person"})
    )
    dog = GoldenBox("dog", 0.9, THERE)
    frames = [frame(i, box(HERE), dog) for i in range(FRAMES)]
    told = figures(truth, *frames, frame(FRAMES + 5, box(THERE), box(HERE)))
    assert told["precision"] == {"person": 1.0, "all": 1.0}


def test_two_clips_are_judged_together_and_their_people_kept_apart() -> None:
    truth = ClipTruth(
        objects={i: (thing(1, HERE),) for i in range(FRAMES)}, classes=frozenset({"person"})
    )
    good, blind = ([frame(i, *boxes) for i in range(FRAMES)] for boxes in ((box(HERE),), ()))
    played = [
        (truth, PlayedClip(name=name, start_s=0.0, frames=tuple(frames), events=()))
        for name, frames in (("a", good), ("b", blind))
    ]
    told = by_metric(figures_of(played))
    assert told["recall"]["person"] == 0.5
    assert told["idf1"]["person"] == pytest.approx(2 / 3, abs=1e-4), "F1 of 1.0 and 0.5"


def test_events_are_judged_in_the_clips_own_time() -> None:
    happened = tuple(
        TruthEvent(float(i), "across", "line.cross", -1, "", "left") for i in range(FRAMES)
    )
    truth = ClipTruth(objects={}, classes=frozenset(), rules=(LINE,), events=happened)
    told = tuple(
        an_event(
            event_id=f"{i:032x}",
            type="line.cross",
            rule_id="across",
            occurred_at_s=1000.3 + i,
            attributes={"direction": "left"},
        )
        for i in range(FRAMES // 2)
    )
    played = PlayedClip(name="a", start_s=1000.0, frames=(), events=told)
    assert figures_of([(truth, played)]) == [
        Figure(metric="event_recall", class_name="all", value=0.5, of=FRAMES)
    ], "ten claims are too few for a precision"


def test_a_sites_folder_is_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "gate.mp4", frames=50)
    write_clip(tmp_path / "unlabelled.mp4", frames=5)
    (tmp_path / "gate.mot.txt").write_text(
        f"2,7,0,0,{WIDTH_PX / 2},{HEIGHT_PX},1,-1,-1,-1\n"
        "4,8,0,0,10,10,1,3,1\n5,8,0,0,10,10,0,3,1\n5,9,0,0,10,10,1,9,1\n"
    )
    (tmp_path / "gate.events.txt").write_text("line across 0,0.5 1,0.5\n1.0 line.cross across left")
    (clip,) = clips_in(tmp_path)
    assert (clip.name, clip.duration_s, clip.detect_fps) == ("gate", 2.0, 5.0)
    assert clip.rules == (LINE,)
    truth = truth_of(clip)
    assert truth.classes == {"person", "car"}
    assert sorted(truth.objects) == [1, 2, 3, 4], "from the first labelled frame to the last"
    assert truth.objects[1][0].xyxy == (0.0, 0.0, 0.5, 1.0)
    assert [len(truth.objects[i]) for i in (1, 2, 3, 4)] == [1, 0, 1, 0]


def test_a_folder_without_labels_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"NAME\.mot\.txt"):
        clips_in(tmp_path)
    write_clip(tmp_path / "a.mp4", frames=3)
    (tmp_path / "a.mot.txt").write_text("1,2,here\n")
    with pytest.raises(UnreadableBoxes, match="expected frame,id"):
        clips_in(tmp_path)

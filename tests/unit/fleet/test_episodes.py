"""Which faults and things last at present, by the events of hosts."""

from vigil.data import Event, Phase
from vigil.fleet.episodes import MOST, OpenEpisodes
from vigil.spec import (
    CameraCheck,
    CameraHealthRule,
    MarkerRule,
    Source,
    StationaryRule,
    StreamSpec,
)

GATE = StreamSpec(
    stream_id="gate",
    source=Source(uri="rtsp://camera/1"),
    rules=(
        MarkerRule(rule_id="mark"),
        CameraHealthRule(rule_id="camera", checks=(CameraCheck.DARK, CameraCheck.SLOW)),
        StationaryRule(rule_id="things", duration_s=10.0),
    ),
)


def event(kind: str, phase: Phase = Phase.NEW, *, episode: str = "one") -> Event:
    return Event(
        event_id=f"{episode}-{phase}",
        episode_id=episode,
        type=kind,
        phase=phase,
        stream_id="gate",
        run=1,
        rule_id=None,
        track_id=None,
        class_name=None,
        score=None,
        bbox=None,
        occurred_at_s=0.0,
        captured_s=0.0,
        labels={},
        attributes={},
    )


NONE = {"camera.dark": 0, "camera.slow": 0, "object.left": 0, "object.removed": 0}


def test_an_episode_lasts_from_its_new_to_its_end() -> None:
    episodes = OpenEpisodes()
    assert episodes.counts(GATE) == NONE
    episodes.note([event("camera.dark"), event("marker"), event("object.left", episode="bag")])
    episodes.note([event("camera.dark", Phase.UPDATE), event("object.left", episode="box")])
    assert episodes.counts(GATE) == {**NONE, "camera.dark": 1, "object.left": 2}
    episodes.note([event("camera.dark", Phase.END), event("object.left", Phase.END, episode="bag")])
    assert episodes.counts(GATE) == {**NONE, "object.left": 1}


def test_a_new_run_knows_of_none() -> None:
    episodes = OpenEpisodes()
    episodes.note([event("camera.slow")])
    episodes.forget("gate")
    assert episodes.counts(GATE) == NONE
    episodes.note([event("camera.slow", Phase.END)])
    assert episodes.counts(GATE) == NONE


def test_a_stream_without_such_rules_has_no_series() -> None:
    plain = StreamSpec(stream_id="gate", source=GATE.source)
    episodes = OpenEpisodes()
    episodes.note([event("camera.dark")])
    assert episodes.counts(plain) == {}


def test_what_is_remembered_is_bounded() -> None:
    episodes = OpenEpisodes()
    episodes.note(event("object.left", episode=str(number)) for number in range(MOST + 50))
    assert episodes.counts(GATE)["object.left"] == MOST

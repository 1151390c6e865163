"""What happens in a scene is told alike, whatever befalls its pictures on the way.

A rendered scene is played whole and then damaged, squeezed or with an irregular rate, through a real service
with the model that ships; the events are compared by type, rule and time.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support import videos
from tests.support.site import DOORS, MARKER, Site, Status, happened_s
from vigil.data import U8
from vigil.scene.moving import Scene
from vigil.v1 import rules_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Point

pytest.importorskip("av", reason="PyAV is not installed: pip install 'vigil[video]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
SEED = 7  # of the test side: its figures and backdrop were never trained on
SECONDS, FPS = 24.0, 10
GOP = 10
SAME_S = 2.0
SPARED = 0.1  # of a damaged file: its first frames begin the run
PYAV = streams_pb2.Source.PYAV
LOWER_HALF = [Point(x=x, y=y) for x, y in ((0, 0.5), (1, 0.5), (1, 1), (0, 1))]
RULES = [
    MARKER,
    rules_pb2.Rule(rule_id="lower", zone=rules_pb2.ZoneRule(polygon=LOWER_HALF)),
    rules_pb2.Rule(rule_id="middle", line=rules_pb2.LineRule(points=LOWER_HALF[:2])),
]


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a rule, in seconds of the film."""

    type: str
    rule_id: str
    at_s: float

    def like(self, other: "Told") -> bool:
        """Whether it tells the same thing."""
        named = (self.type, self.rule_id) == (other.type, other.rule_id)
        return named and abs(self.at_s - other.at_s) <= SAME_S


@pytest.fixture(scope="module")
def pictures() -> list[U8]:
    scene = Scene(SEED, duration_s=SECONDS, width_px=640, height_px=360, fps=FPS)
    return [frame.image for frame in scene.frames()]


@pytest.fixture
def film(clips: Any, pictures: list[U8]) -> Path:
    return videos.encode_h264(clips.root / "film.ts", pictures, fps=FPS, gop=GOP)


@pytest.fixture
def own_site(planted: object, film: Path, open_site: Callable[..., Any]) -> Iterator[Site]:
    del film  # rendered before the service wants the cores
    with open_site(VIGIL_MODEL__FOLDER="", VIGIL_MODEL__NAME="") as site:
        yield site


def told(site: Site, name: str, path: Path, door: Any) -> list[Told]:
    """The events of a file, played as fast as it is analysed."""
    fields = {"detect_fps": FPS, "source_pace": streams_pb2.Source.FAST, "source_backend": door}
    site.add(name, path.as_uri(), rules=RULES, **fields)
    site.wait(name, lambda s: s.status.reason == Status.ENDED, timeout_s=120)
    assert site.get(name).status.run == 1, "it was not played in one run"
    events = [(event, happened_s(event)) for event in site.listed(name)]
    start_s = min(at_s for _, at_s in events)
    return [
        Told(event.type, event.rule_id, at_s - start_s)
        for event, at_s in events
        if event.type != "marker"
    ]


def lacking(of: Sequence[Told], among: Sequence[Told]) -> list[Told]:
    """What ``among`` does not tell."""
    left = list(among)
    missing = []
    for one in of:
        match = next((other for other in left if one.like(other)), None)
        if match is None:
            missing.append(one)
        else:
            left.remove(match)
    return missing


# Light enough that whole frames are left between, or so heavy that none is. Where every other second is
# refused, a track may break, and who stands in a zone leaves and enters it again (2e-6: one stay of twelve).
DAMAGES: dict[str, Callable[..., int]] = {
    "bit flips 4e-7": partial(videos.flip_bits, rate=4e-7),
    "bit flips 1e-4": partial(videos.flip_bits, rate=1e-4),
    "bit flips 1e-2": partial(videos.flip_bits, rate=1e-2),
    "lost slices": partial(videos.lose_packets, rate=0.0005),
}


@pytest.mark.planted(
    "vigil.host.pyav_capture:PyAvCapture.corrupt = lambda self: False", caught="damage was analysed"
)
def test_a_damaged_film_tells_nothing_that_the_whole_one_does_not(
    own_site: Site, film: Path
) -> None:
    clean = told(own_site, "clean", film, PYAV)
    assert len(clean) >= 10
    spare = int(film.stat().st_size * SPARED)
    for number, (name, damage) in enumerate(DAMAGES.items()):
        path = film.with_name(f"damaged-{number}.ts")
        path.write_bytes(film.read_bytes())
        damage(path, seed=number, spare_bytes=spare)
        stream_id = f"damaged-{number}"
        events = told(own_site, stream_id, path, PYAV)
        outcomes = own_site.scrape().accounts()[stream_id].outcomes
        false = lacking(events, clean)
        print(
            f"{name}: {outcomes['corrupt']} of {SECONDS * FPS:.0f} frames refused as damaged,"
            f" {len(events)} events of {len(clean)}, {len(false)} that the whole film lacks: {false}"
        )
        assert outcomes["corrupt"], "damage was analysed"
        assert not false, f"{name}: damage made events"


@pytest.mark.planted(
    # boxes shrink with the picture
    "vigil.vision.letterbox:Letterbox.to_source_normalised = lambda self, xyxy: original(self, xyxy)"
    " * (self.source_hw[1] / globals().setdefault('_first', self).source_hw[1]) ** 2",
    caught="zones moved",
)
def test_pictures_of_another_shape_leave_zones_where_they_are(
    own_site: Site, film: Path, pictures: list[U8]
) -> None:
    """The camera goes over to 4:3 after a third and shows the same scene, squeezed."""
    third = len(pictures) // 3
    squeezed = [np.asarray(cv2.resize(each, (480, 360)), np.uint8) for each in pictures[third:]]
    path, rest = film.with_name("squeezed.ts"), film.with_name("rest.ts")
    videos.encode_h264(path, pictures[:third], fps=FPS, gop=GOP)
    places = range(third, len(pictures))
    videos.encode_h264(rest, squeezed, fps=FPS, gop=GOP, places=places)
    path.write_bytes(path.read_bytes() + rest.read_bytes())
    clean = told(own_site, "clean", film, PYAV)
    for door in DOORS:
        events = told(own_site, f"squeezed-{door}", path, door)
        moved = lacking(events, clean) + lacking(clean, events)
        print(
            f"{streams_pb2.Source.Backend.Name(door)}: {len(moved)} of {len(clean)} otherwise: {moved}"
        )
        assert len(moved) <= 0.1 * len(clean), f"zones moved: {moved}"


@pytest.mark.planted(
    # every frame an interval after the one before, whatever its timestamp says
    "vigil.host.timeline:FileTimeline.place = lambda self, pts_s, arrival_s: original(self, 0.0, 0.0)",
    caught="times moved",
)
@pytest.mark.parametrize("door", DOORS)
def test_a_rate_that_varies_leaves_times_where_they_are(
    own_site: Site, film: Path, pictures: list[U8], door: Any
) -> None:
    """As of a camera when it grows dark: ten frames a second in the first half, then 2 to 5, by chance."""
    draw = random.Random(SEED)
    kept = list(range(len(pictures) // 2))
    while kept[-1] < len(pictures) - 5:
        kept.append(kept[-1] + draw.choice((2, 3, 5)))
    path = videos.encode_h264(
        film.with_name("varying.mp4"), [pictures[i] for i in kept], fps=FPS, gop=GOP, places=kept
    )
    clean = told(own_site, "clean", film, door)
    events = told(own_site, "varying", path, door)
    moved = lacking(events, clean) + lacking(clean, events)
    print(
        f"{len(kept)} of {len(pictures)} frames, {len(moved)} of {len(clean)} events otherwise: {moved}"
    )
    assert len(moved) <= 0.1 * len(clean), f"times moved: {moved}"

"""A moving scene: the same seed gives the same pictures, boxes and events, to the last bit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vigil.data import U8
from vigil.scene.backdrop import build_backdrop, stand
from vigil.scene.compose import Backdrop, Drawn, SceneObject, compose, furnished, gain_at
from vigil.scene.ground import Layout, draw_layout
from vigil.scene.journey import Journey
from vigil.scene.lamps import glows
from vigil.scene.look import Grain, draw_look
from vigil.scene.luggage import THING
from vigil.scene.palette import palette_of
from vigil.scene.script import HALTS, KINDS, THINGS, Actor, Stage, demo_camera, write_script
from vigil.scene.sprite import Placement, SpriteStore
from vigil.scene.thing_truth import ThingLook, cells_of
from vigil.scene.truth import TruthEvent, truth_events
from vigil.spec import Rule

REVISION = 3  # raised whenever the same seed comes to give another scene: kept films are then stale


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """One picture of a scene and the truth of what is in it."""

    index: int
    time_s: float
    image: U8  # (H, W, 3) BGR
    objects: tuple[SceneObject, ...]


class Scene:
    """A rendered scene. ``kind`` is one of KINDS, HALTS or THINGS; ``look`` is day or night.

    Seeds in TEST_SEEDS and in TRAIN_SEEDS (`vigil.scene.palette`) share no backdrop, figure or colour.
    """

    def __init__(
        self,
        seed: int,
        *,
        duration_s: float,
        width_px: int = 1280,
        height_px: int = 720,
        fps: float = 25.0,
        look: str = "day",
        kind: str = "demo",
    ) -> None:
        if kind not in (*KINDS, HALTS, THINGS):
            known = ", ".join((*KINDS, HALTS, THINGS))
            raise ValueError(f"no kind of scene is called {kind!r}; use one of {known}")
        rng = np.random.default_rng(seed)
        palette = palette_of(seed)
        self.seed = seed
        self.kind = kind
        self.duration_s = duration_s
        self.fps = fps
        self.camera = demo_camera(rng, width_px=width_px, height_px=height_px)
        self.layout = _layout(kind, rng)
        self.look = draw_look(look, rng, indoor=kind == "hall")
        stage = Stage(self.camera, self.layout, self.look, palette, duration_s)
        self.actors: tuple[Actor, ...] = tuple(write_script(kind, stage, rng))
        self._grain_seed = int(rng.integers(1 << 30))
        self._still_seed = int(rng.integers(1 << 30))

    @property
    def frame_count(self) -> int:
        """How many frames there are."""
        return round(self.duration_s * self.fps)

    @property
    def journeys(self) -> dict[int, Journey]:
        """The way of every object over the ground; riders go theirs."""
        return {
            actor.object_id + part: actor.journey
            for actor in self.actors
            for part in range(len(actor.figure.classes))
        }

    def frames(self) -> Iterator[SceneFrame]:
        """Render every frame, in order."""
        backdrop = self._backdrop()
        store = SpriteStore(self.camera, self.look)
        size = (self.camera.height_px, self.camera.width_px)
        grain = Grain(size, self.look.noise, np.random.default_rng(self._grain_seed))
        for index in range(self.frame_count):
            time_s = index / self.fps
            image, objects = compose(backdrop, self._things(time_s, store, backdrop))
            grain.add(image)
            yield SceneFrame(index, time_s, image, tuple(objects))

    def truth_events(self, rules: Sequence[Rule]) -> list[TruthEvent]:
        """What happens in the scene by zone and line rules; see `vigil.scene.truth`.

        Renders the scene to learn its boxes: where frames are at hand, give theirs to truth_events.
        """
        return truth_events(((frame.time_s, frame.objects) for frame in self.frames()), rules)

    def thing_looks(self) -> dict[int, ThingLook]:
        """What each thing changes in the empty scene, by object; cells as in a `vigil.data.Glance`."""
        backdrop, store = self._backdrop(), SpriteStore(self.camera, self.look)
        colour, slope = cells_of(backdrop.image)
        looks = {}
        for actor in self.actors:
            if THING in actor.figure.classes:
                at = actor.journey.at(actor.journey.start_s, stride_m=1.0)
                assert at is not None
                image, _ = compose(backdrop, [self._drawn(actor, at, store, backdrop)])
                with_it, slope_with_it = cells_of(image)
                looks[actor.object_id] = ThingLook(
                    np.abs(with_it - colour).max(axis=2), slope_with_it - slope
                )
        return looks

    def _backdrop(self) -> Backdrop:
        rng = np.random.default_rng(self._still_seed)
        palette = palette_of(self.seed)
        clutter = 0 if self.kind == "demo" else 5
        backdrop = build_backdrop(
            self.layout, self.camera, self.look, rng=rng, palette=palette, clutter=clutter
        )
        if self.kind != "demo":
            return backdrop
        # Kept above the middle and at the sides, where they hide little of what crosses it.
        places = [
            ("lamp", 0.05, 0.62),
            ("tree", 0.2, 0.27),
            ("planter", 0.52, 0.33),
            ("bench", 0.8, 0.29),
            ("cabinet", 0.97, 0.5),
            ("bollard", 0.36, 0.31),
            ("bollard", 0.64, 0.31),
        ]
        pieces = []
        for kind, u, v in places:
            at = self.camera.ground(u * self.camera.width_px, v * self.camera.height_px)
            pieces.append(stand(kind, at, self.camera, self.look, rng=rng, palette=palette))
        return furnished(backdrop, pieces)

    def _things(self, time_s: float, store: SpriteStore, backdrop: Backdrop) -> list[Drawn]:
        things = []
        for actor in self.actors:
            at = actor.journey.at(time_s, stride_m=actor.figure.stride_m)
            if at is None:
                store.forget(actor.object_id)
            else:
                things.append(self._drawn(actor, at, store, backdrop))
        return things

    def _drawn(self, actor: Actor, at: Placement, store: SpriteStore, backdrop: Backdrop) -> Drawn:
        figure = actor.figure
        at_px = self.camera.pixel(at.x_m, at.y_m)
        return Drawn(
            sprite=store.get(actor.object_id, figure.body, at, phases=figure.phases),
            at_px=at_px,
            px_per_m=self.camera.view(at.x_m, at.y_m, at.yaw_rad).px_per_m,
            y_m=at.y_m,
            gain=gain_at(backdrop, at_px),
            object_ids=tuple(actor.object_id + part for part in range(len(figure.classes))),
            classes=figure.classes,
            glows=glows(figure, at, self.camera),
        )


def _layout(kind: str, rng: np.random.Generator) -> Layout:
    if kind == "demo":
        near = float(rng.uniform(20, 23))
        return Layout("street", (near, near + 7.0), near + float(rng.uniform(11, 16)))
    if kind == THINGS:
        kind = str(rng.choice(["plaza", "yard", "hall"]))
    return draw_layout("yard" if kind == HALTS else kind, rng)

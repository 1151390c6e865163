"""A scene as a playable file with its truth beside it."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np

from vigil.errors import VigilError
from vigil.scene.compose import SceneObject
from vigil.scene.moving import Scene


class UnwritableVideo(VigilError):
    """A video file cannot be written where it was asked for."""

    code = "FAILED_PRECONDITION"


class FilmTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What is in every frame of a film; frames[i] are its objects at i / fps seconds."""

    seed: int
    kind: str
    look: str
    fps: float
    width_px: int
    height_px: int
    frames: tuple[tuple[SceneObject, ...], ...]

    def moments(self, until_s: float = math.inf) -> list[tuple[float, tuple[SceneObject, ...]]]:
        """Each frame's time and objects, as `vigil.scene.truth.truth_events` takes them.

        ``until_s`` is how far the film was played.
        """
        return [
            (index / self.fps, objects)
            for index, objects in enumerate(self.frames)
            if index / self.fps <= until_s
        ]


def truth_path(film: Path) -> Path:
    """Where a film's truth lies: beside it, with .truth.json in place of its suffix."""
    return film.with_suffix(".truth.json")


def render_to_file(
    scene: Scene, path: Path, *, progress: Callable[[int, int], None] | None = None
) -> FilmTruth:
    """Render a scene to an MPEG-4 file and write its truth beside it.

    ``progress`` is called with the frames done and the frames in all. Raises UnwritableVideo.
    """
    size = (scene.camera.width_px, scene.camera.height_px)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), scene.fps, size)
    if not writer.isOpened():
        raise UnwritableVideo(
            f"cannot write {path}: is its folder there, and may it be written to?"
        )
    frames = []
    try:
        for frame in scene.frames():
            writer.write(frame.image)
            frames.append(tuple(rounded(thing) for thing in frame.objects))
            if progress is not None:
                progress(frame.index + 1, scene.frame_count)
    finally:
        writer.release()
    truth = FilmTruth(
        seed=scene.seed,
        kind=scene.kind,
        look=scene.look.name,
        fps=scene.fps,
        width_px=size[0],
        height_px=size[1],
        frames=tuple(frames),
    )
    truth_path(path).write_bytes(msgspec.json.encode(truth))
    return truth


def read_truth(film: Path) -> FilmTruth:
    """The truth of a film that render_to_file wrote."""
    return msgspec.json.decode(truth_path(film).read_bytes(), type=FilmTruth)


def rounded(thing: SceneObject) -> SceneObject:
    """To a hundredth of a pixel at 1,000 px: enough for truth, a third of the file."""
    x0, y0, x1, y1 = (round(float(np.float64(n)), 5) for n in thing.xyxy)
    return SceneObject(
        thing.object_id,
        thing.class_name,
        (x0, y0, x1, y1),
        round(thing.visible, 3),
        round(thing.in_view, 3),
    )

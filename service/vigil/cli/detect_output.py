"""What `vigil detect` writes: annotated pictures and videos, and JSON lines."""

from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace

from vigil.cli.offline import Found, Played, Video
from vigil.data import U8, Detections, Event, Track, TrackState
from vigil.draw import EventLabels, Overlay, Trails, annotate
from vigil.errors import VigilError
from vigil.spec import StreamSpec
from vigil.vision.manifest import Manifest

Json = dict[str, object]


class UnwritableOutput(VigilError):
    """The drawn picture or video cannot be written where it was asked for."""

    code = "FAILED_PRECONDITION"


class PictureWriter:
    """Draws detections and rules on pictures; does nothing without an output."""

    def __init__(
        self, output: Path | None, manifest: Manifest, spec: StreamSpec, *, many: bool
    ) -> None:
        self._output = output
        self._manifest = manifest
        self._spec = spec
        self._many = many
        if output is not None and many:
            try:
                output.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UnwritableOutput(f"{output}: {error.strerror}; name a folder") from error

    def write(self, source: Path, image: U8, found: Detections) -> None:
        """Draw one picture. Raises UnwritableOutput."""
        if self._output is None:
            return
        drawn = annotate(
            image,
            detections=found,
            class_names=self._manifest.classes,
            rules=self._spec.rules,
        )
        path = self._output / f"{source.stem}.jpg" if self._many else self._output
        try:
            written = cv2.imwrite(str(path), drawn)
        except cv2.error:  # a suffix that OpenCV does not know
            written = False
        if not written:
            raise UnwritableOutput(
                f"cannot write {path}; use .jpg, .png or .webp in a folder that is there"
            )


class VideoWriter:
    """Draws every frame of a video. Between analysed frames boxes move on at their tracks' speed."""

    def __init__(self, output: Path, manifest: Manifest, spec: StreamSpec, video: Video) -> None:
        self._output = output
        self._manifest = manifest
        self._spec = spec
        self._trails = Trails()
        self._labels = EventLabels()
        self._tracks: tuple[Track, ...] = ()
        self._analysed_s = 0.0
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        self._file = cv2.VideoWriter(str(output), codec, video.fps, video.size_px)
        if not self._file.isOpened():
            raise UnwritableOutput(f"cannot write {output}; use .mp4 in a folder that is there")

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.release()

    def write(self, played: Played, found: Found | None) -> None:
        """Draw one frame; ``found`` is None where it was not analysed."""
        if found is not None:
            self._tracks = found.tracks
            self._analysed_s = played.time_s
            self._trails.add(found.tracks, played.time_s)
            self._labels.add(found.events, played.time_s)
        step_s = played.time_s - self._analysed_s
        tracks = [moved(t, step_s) for t in self._tracks if t.state is TrackState.CONFIRMED]
        drawn = annotate(
            played.image,
            tracks=tracks,
            class_names=self._manifest.classes,
            rules=self._spec.rules,
            overlay=Overlay(self._trails.points(), self._labels.labels(played.time_s)),
        )
        self._file.write(drawn)


def moved(track: Track, step_s: float) -> Track:
    """The track a little later, at its present velocity."""
    x, y = (speed * step_s for speed in track.velocity)
    x0, y0, x1, y1 = track.xyxy
    return replace(track, xyxy=(x0 + x, y0 + y, x1 + x, y1 + y))


def picture_line(path: Path, found: Detections, manifest: Manifest) -> Json:
    """The JSON line of a picture."""
    return {"file": str(path), "detections": _detections(found, manifest)}


def frame_line(played: Played, found: Found, manifest: Manifest) -> Json:
    """The JSON line of an analysed frame; tracks are the confirmed ones."""
    return {
        "frame": played.index,
        "time_s": round(played.time_s, 3),
        "detections": _detections(found.detections, manifest),
        "tracks": [
            {
                "track_id": track.track_id,
                "class": manifest.classes[track.class_id],
                "score": round(track.score, 4),
                "bbox": _rounded(track.xyxy),
            }
            for track in found.tracks
            if track.state is TrackState.CONFIRMED
        ],
        "events": [_event(event) for event in found.events],
    }


def _detections(found: Detections, manifest: Manifest) -> list[Json]:
    return [
        {"class": manifest.classes[kind], "score": round(score, 4), "bbox": _rounded(box)}
        for box, score, kind in zip(
            found.xyxy.tolist(), found.score.tolist(), found.class_id.tolist(), strict=True
        )
    ]


def _event(event: Event) -> Json:
    return {
        "type": event.type,
        "phase": event.phase.value,
        "rule_id": event.rule_id,
        "track_id": event.track_id,
        "class": event.class_name,
        "time_s": round(event.occurred_at_s, 3),
        "attributes": event.attributes,
    }


def _rounded(xyxy: tuple[float, ...] | list[float]) -> list[float]:
    return [round(float(np.clip(n, 0.0, 1.0)), 5) for n in xyxy]

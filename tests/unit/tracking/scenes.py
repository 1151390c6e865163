"""Moving boxes with known identities, seen by an imperfect detector."""

from dataclasses import dataclass

import numpy as np

from vigil.data import Detections, Track, TrackState


@dataclass(frozen=True)
class Scene:
    truth: list[np.ndarray]  # by frame: (objects, 4) normalised xyxy; row n is object n
    detections: list[Detections]
    step_s: float


def boxes_at(centre: np.ndarray, size=(0.04, 0.12)) -> np.ndarray:
    half = 0.5 * np.array(size)
    return np.concatenate((centre - half, centre + half), axis=1)


def detected(boxes, *, score=0.8, class_id=0) -> Detections:
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Detections(
        xyxy=boxes,
        score=np.broadcast_to(np.asarray(score, np.float32), count).copy(),
        class_id=np.broadcast_to(np.asarray(class_id, np.int64), count).copy(),
    )


def wanderers(
    seed: int,
    *,
    objects: int = 10,
    frames: int = 100,
    step_s: float = 0.2,
    miss: float = 0.1,
    noise: float = 0.04,
    ghosts: float = 0.2,
) -> Scene:
    """Objects at walking speed (1.2 sizes a second) that turn slowly and bounce off the border."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.1, 0.9, (objects, 2))
    speed = rng.normal(scale=0.06, size=(objects, 2))
    truth, detections = [], []
    for _ in range(frames):
        speed += rng.normal(scale=0.05 * np.sqrt(step_s), size=speed.shape) - 0.3 * speed * step_s
        centre = centre + speed * step_s
        speed = np.where((centre < 0.08) | (centre > 0.92), -speed, speed)
        centre = centre.clip(0.08, 0.92)
        boxes = boxes_at(centre)
        found = boxes[rng.random(objects) >= miss]
        found = found + rng.normal(size=found.shape) * noise * np.array([0.04, 0.12, 0.04, 0.12])
        false = boxes_at(rng.uniform(0.1, 0.9, (rng.poisson(ghosts), 2)))
        score = np.concatenate(
            (rng.normal(0.75, 0.15, len(found)), rng.uniform(0.1, 0.6, len(false)))
        ).clip(0.12, 0.99)
        order = np.argsort(-score, kind="stable")
        detections.append(detected(np.concatenate((found, false))[order], score=score[order]))
        truth.append(boxes)
    return Scene(truth=truth, detections=detections, step_s=step_s)


def confirmed(tracks: tuple[Track, ...]) -> list[Track]:
    return [track for track in tracks if track.state is TrackState.CONFIRMED]

"""What every camera of a host shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from vigil.clock import Clock
from vigil.data import F32, U8, Detections
from vigil.host.access import Access
from vigil.host.engine_link import EngineLink
from vigil.host.frame_trace import TraceSampler
from vigil.host.picture_pool import PicturePool
from vigil.host.worker import Worker
from vigil.ipc.messages import FrameDone, FromHost, HostSettings
from vigil.metrics.page import Page
from vigil.vision.letterbox import Letterbox


class Send(Protocol):
    """How a room talks to the service; any thread may call it."""

    def __call__(self, message: FromHost, *, payload: bytes = b"") -> None:
        """Send one message. Raises ChannelClosed."""


class Transit(Protocol):
    """A picture that the engine has: its owner is told what became of it, on the host's loop."""

    def analysed(self, found: Detections, done: FrameDone) -> None:
        """The engine's answer; ``found`` is normalised, best score first."""

    def dropped(self, done: FrameDone) -> None:
        """The engine gave it back without an answer; ``done.outcome`` says why."""

    @property
    def letterbox(self) -> Letterbox:
        """How the picture lies in its slot."""


@dataclass(frozen=True, slots=True)
class HostContext:
    """The host's settings and the doors out of a camera's room."""

    settings: HostSettings
    clock: Clock
    page: Page
    engine: EngineLink[Transit]
    access: Access
    send: Send
    post: Callable[[Callable[[], None]], None]  # run something on the host's loop, from any thread
    worker: Worker  # for pictures that must not hold up the loop
    pictures: PicturePool
    traces: TraceSampler | None = None  # None: no frame is traced

    def letterbox(self, picture: U8) -> Letterbox:
        """How a picture (H, W, 3) lies in the model's input."""
        settings = self.settings
        input_hw = settings.input_height_px, settings.input_width_px
        return Letterbox.fit(picture.shape[:2], input_hw, stretch=settings.stretch)


def detections_of(done: FrameDone, letterbox: Letterbox) -> Detections:
    """The engine's answer as detections normalised to the source's picture."""
    xyxy: F32 = np.frombuffer(done.xyxy, np.float32).reshape(-1, 4)
    return Detections(
        xyxy=letterbox.to_source_normalised(xyxy),
        score=np.frombuffer(done.score, np.float32),
        class_id=np.frombuffer(done.class_id, np.int64),
    )


def mask_areas(picture: U8, masks: tuple[tuple[tuple[float, float], ...], ...]) -> None:
    """Blacken normalised polygons of an (H, W, 3) picture, before anyone sees or keeps it."""
    height, width = picture.shape[:2]
    for mask in masks:
        corners = np.round(np.array(mask) * (width, height)).astype(np.int32)
        cv2.fillPoly(picture, [corners], (0, 0, 0))

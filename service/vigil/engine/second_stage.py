"""The engine's second stage: crops of all hosts, in batches, through the classifiers that it has loaded."""

from collections.abc import Mapping

import numpy as np
import structlog

from vigil.clock import Clock
from vigil.data import F32, CropOutcome
from vigil.engine.crop_queue import CropQueue, WaitingCrop
from vigil.engine.host_link import HostLink
from vigil.ipc.messages import CropReady
from vigil.metrics.page import Page
from vigil.vision.classifier import CropClassifier

log = structlog.get_logger()


class SecondStage:
    """Belongs to the engine's loop; ``links`` are the hosts that are attached, by id."""

    def __init__(
        self,
        classifiers: Mapping[str, CropClassifier],
        links: Mapping[str, HostLink],
        *,
        page: Page,
        clock: Clock,
    ) -> None:
        self._classifiers = classifiers
        self._links = links
        self._page = page
        self._clock = clock
        self._queue = CropQueue()

    def offer(self, link: HostLink, crop: CropReady) -> None:
        """A crop lies in a slot of a host; one for a classifier that is not loaded goes back at once."""
        if crop.classifier in self._classifiers:
            self._queue.offer(WaitingCrop(link.host_id, crop))
        else:
            link.crop_dropped(crop, "dropped_error")

    def forget(self, host_id: str) -> None:
        """A host is gone."""
        self._queue.forget(host_id)

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until a batch should go; None while no crop waits."""
        return self._queue.wait_s(now_s)

    def run_due(self) -> None:
        """Classify one batch, if one is due."""
        now_s = self._clock.monotonic_s()
        if self._queue.wait_s(now_s) != 0.0:
            return
        batch, stale = self._queue.take(now_s)
        for waiting in stale:
            self._drop(waiting, "dropped_stale")
        for waiting in batch:
            self._page.times.observe("crop_wait", now_s - waiting.crop.ready_s)
        if batch:
            self._classify(batch)

    def _classify(self, batch: list[WaitingCrop]) -> None:
        started_s = self._clock.monotonic_s()
        try:
            chances = self._chances(batch)
        except RuntimeError as error:
            self._classify_apart(batch, error)
            return
        took_s = self._clock.monotonic_s() - started_s
        for waiting, chance in zip(batch, chances, strict=True):
            if np.isfinite(chance).all():
                self._links[waiting.host_id].classified(waiting.crop, chance)
            else:
                self._drop(waiting, "dropped_error")
            self._page.times.observe("classify", took_s)

    def _classify_apart(self, batch: list[WaitingCrop], error: RuntimeError) -> None:
        """The net failed on a batch: one by one, so that a bad crop costs nobody else's label."""
        if len(batch) == 1:
            log.error("crop_failed", classifier=batch[0].crop.classifier, error=str(error))
            self._drop(batch[0], "dropped_error")
            return
        for waiting in batch:
            self._classify([waiting])

    def _chances(self, batch: list[WaitingCrop]) -> F32:
        """Calibrated probabilities (N, classes) of a batch of one classifier."""
        classifier = self._classifiers[batch[0].crop.classifier]
        side_px = classifier.shape[0]
        crops = np.stack([self._links[one.host_id].crop(one.crop, side_px) for one in batch])
        return classifier.classify(crops)

    def _drop(self, waiting: WaitingCrop, outcome: CropOutcome) -> None:
        self._links[waiting.host_id].crop_dropped(waiting.crop, outcome)

"""The engine's second stage: crops of all hosts, in batches, through the classifiers that it has loaded."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import structlog

from vigil.clock import Clock
from vigil.data import F32, U8
from vigil.engine.crop_queue import CropQueue, WaitingCrop
from vigil.engine.host_link import HostLink
from vigil.engine.lanes import Lanes
from vigil.ipc.messages import CropReady
from vigil.metrics.page import Page
from vigil.vision.classifier import CropClassifier

log = structlog.get_logger()


class SecondStage:
    """Belongs to the engine's loop; ``links`` are the hosts that are attached, by id.

    At most one of the ``lanes`` has crops at a time.
    """

    def __init__(
        self,
        classifiers: Mapping[str, CropClassifier],
        links: Mapping[str, HostLink],
        *,
        lanes: Lanes,
        page: Page,
        clock: Clock,
    ) -> None:
        self._classifiers = classifiers
        self._links = links
        self._lanes = lanes
        self._busy = False
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
        """Seconds until a batch should go; None while no crop waits, or a lane has one, or all are busy."""
        if self._busy or not self._lanes.free:
            return None
        return self._queue.wait_s(now_s)

    def run_due(self) -> None:
        """Give one batch to a lane, if one is due."""
        now_s = self._clock.monotonic_s()
        if self.wait_s(now_s) != 0.0:
            return
        batch, stale = self._queue.take(now_s)
        for waiting in stale:
            self._links[waiting.host_id].crop_dropped(waiting.crop, "dropped_stale")
        for waiting in batch:
            self._page.times.observe("crop_wait", now_s - waiting.crop.ready_s)
        if batch:
            self._classify(batch)

    def _classify(self, batch: list[WaitingCrop]) -> None:
        classifier = self._classifiers[batch[0].crop.classifier]
        links = [self._links[waiting.host_id] for waiting in batch]  # one may leave meanwhile
        side_px = classifier.shape[0]
        crops = [link.crop(one.crop, side_px) for link, one in zip(links, batch, strict=True)]
        self._busy = True
        self._lanes.give(
            partial(_chances, classifier, crops),
            partial(self._answer, batch, links, self._clock.monotonic_s()),
        )

    def _answer(
        self,
        batch: list[WaitingCrop],
        links: list[HostLink],
        started_s: float,
        chances: list[F32 | None],
    ) -> None:
        self._busy = False
        took_s = self._clock.monotonic_s() - started_s
        for waiting, link, chance in zip(batch, links, chances, strict=True):
            if chance is not None and np.isfinite(chance).all():
                link.classified(waiting.crop, chance)
            else:
                link.crop_dropped(waiting.crop, "dropped_error")
            self._page.times.observe("classify", took_s)


def _chances(classifier: CropClassifier, crops: Sequence[U8]) -> list[F32 | None]:
    """A lane's part: calibrated probabilities (classes,) of each crop, None where the net failed on it."""
    try:
        return list(classifier.classify(np.stack(crops)))
    except RuntimeError as error:
        if len(crops) == 1:
            log.error("crop_failed", error=str(error))
            return [None]
    # one by one, so that a bad crop costs nobody else's label
    return [chance for crop in crops for chance in _chances(classifier, [crop])]

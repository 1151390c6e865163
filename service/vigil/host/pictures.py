"""Single pictures that clients send."""

from dataclasses import dataclass

from vigil.data import Detections
from vigil.host.answers import Answers, decoded, found_objects, taken_slot
from vigil.host.context import HostContext
from vigil.host.engine_link import SlotPool
from vigil.host.run import Thresholds
from vigil.ipc.messages import AnalysePicture, FrameDone, FrameReady, PictureAnalysed
from vigil.vision.letterbox import Letterbox


@dataclass(frozen=True, slots=True, eq=False)
class ClientPicture:
    """A client's single picture at the engine (see `context.Transit`)."""

    request: AnalysePicture
    letterbox: Letterbox
    thresholds: Thresholds
    answers: Answers

    def analysed(self, found: Detections, done: FrameDone) -> None:
        """The engine's answer."""
        height_px, width_px = self.letterbox.source_hw
        self.answers.give(
            PictureAnalysed(
                request_id=self.request.request_id,
                width_px=width_px,
                height_px=height_px,
                infer_s=done.infer_s,
                found=found_objects(self.thresholds.keep(found)),
            )
        )

    def dropped(self, done: FrameDone) -> None:
        """No answer."""
        self.answers.lost(self.request.request_id)


class Pictures:
    """Decodes pictures into slots of their own and hands them to the engine."""

    def __init__(self, context: HostContext, answers: Answers, *, slots: range) -> None:
        self._context = context
        self._answers = answers
        self._slots = SlotPool(slots)

    def analyse(self, request: AnalysePicture, encoded: bytes) -> None:
        """Find the objects in a picture; the answer goes to the service."""
        self._answers.work(request.request_id, lambda: self._analyse(request, encoded))

    def _analyse(self, request: AnalysePicture, encoded: bytes) -> None:
        context = self._context
        picture = decoded(encoded)
        slot = taken_slot(self._slots)
        letterbox = context.letterbox(picture)
        try:
            letterbox.draw(picture, context.engine.picture(slot))
        except BaseException:
            self._slots.give_back(slot)
            raise
        now_s = context.clock.monotonic_s()
        thresholds = Thresholds.of(
            classes=request.classes,
            model_classes=context.settings.classes,
            model_thresholds=context.settings.class_thresholds,
            min_score=request.min_score,
        )
        waiting = ClientPicture(request, letterbox, thresholds, self._answers)
        message = FrameReady(
            slot=slot, camera=-1, captured_s=now_s, ready_s=now_s, priority=1, keep=True
        )
        if not context.engine.submit(message, pool=self._slots, carried=waiting):
            self._answers.lost(request.request_id)

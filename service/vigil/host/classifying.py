"""Pictures that clients want to know the class of."""

from dataclasses import dataclass

from vigil.data import F32
from vigil.errors import FieldViolation, InvalidRequest
from vigil.host.answers import Answers, decoded, taken_slot
from vigil.host.context import HostContext
from vigil.ipc.messages import ClassifyPicture, CropReady, PictureClassified
from vigil.vision.crop import cut, draw_square


@dataclass(frozen=True, slots=True, eq=False)
class ClientCrop:
    """A client's picture at the engine (see `engine_link.CropTransit`)."""

    request_id: int
    answers: Answers

    def classified(self, probabilities: F32) -> None:
        """The engine's answer."""
        chances = tuple(float(chance) for chance in probabilities)
        self.answers.give(PictureClassified(request_id=self.request_id, probabilities=chances))

    def dropped(self) -> None:
        """No answer."""
        self.answers.lost(self.request_id, kind=PictureClassified)


class Classifying:
    """Decodes pictures into slots for crops, and hands them to the engine beside those of tracks."""

    def __init__(self, context: HostContext, answers: Answers) -> None:
        self._context = context
        self._answers = answers
        self._inputs_px = {info.name: info.input_px for info in context.settings.classifiers}

    def classify(self, request: ClassifyPicture, encoded: bytes) -> None:
        """Say what a picture shows; the answer goes to the service."""
        self._answers.work(
            request.request_id, lambda: self._classify(request, encoded), kind=PictureClassified
        )

    def _classify(self, request: ClassifyPicture, encoded: bytes) -> None:
        side_px = self._inputs_px.get(request.classifier)
        if side_px is None:
            raise InvalidRequest([FieldViolation("model", f"{request.classifier!r} is not loaded")])
        picture = decoded(encoded)
        if request.part is not None:
            picture = cut(picture, request.part, margin=0.0)
        engine = self._context.engine
        slot = taken_slot(engine.crops.pool)
        try:
            draw_square(picture, engine.crops.picture(slot, side_px))
        except BaseException:
            engine.crops.pool.give_back(slot)
            raise
        crop = CropReady(
            slot=slot,
            classifier=request.classifier,
            ready_s=self._context.clock.monotonic_s(),
        )
        waiting = ClientCrop(request.request_id, self._answers)
        if not engine.submit_crop(crop, carried=waiting):
            waiting.dropped()

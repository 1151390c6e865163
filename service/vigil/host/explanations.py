"""What clients want explained: the engine's heat map on the next analysed frame of a camera, as JPEG."""

import cv2
import numpy as np

from vigil.data import F32, U8, TrackState
from vigil.draw.heat import caption, draw_heat
from vigil.errors import Busy
from vigil.host.camera import Analysed, Camera
from vigil.host.context import HostContext
from vigil.host.snapshots import JPEG_QUALITY
from vigil.host.worker import Worker
from vigil.ipc.messages import (
    ExplainDone,
    ExplainReady,
    ExplainRefusal,
    ExplainSnapshot,
    SnapshotExplained,
)
from vigil.vision.crop import Box
from vigil.vision.view import View


class Explanations:
    """Asks the engine on the host's loop, draws on the worker."""

    def __init__(self, context: HostContext, worker: Worker) -> None:
        self._context = context
        self._worker = worker

    def explain(self, request: ExplainSnapshot, camera: Camera | None) -> None:
        """Explain the next analysed frame of a camera; the answer goes to the service."""
        if camera is None:
            self._refuse(request, "no_picture", "the stream is not running")
            return
        camera.want_picture(lambda analysed: self._ask(request, analysed))

    def _ask(self, request: ExplainSnapshot, analysed: Analysed | None) -> None:
        if analysed is None or analysed.picture is None:
            self._refuse(request, "no_picture", "the stream gave no picture; see its state")
            return
        picture = analysed.picture
        box = request.xyxy
        if request.track_id is not None:
            box = box_of(request.track_id, analysed)
            if box is None:
                present = [str(track.track_id) for track in analysed.tracks]
                self._refuse(
                    request,
                    "no_picture",
                    f"track {request.track_id} is not in the picture; there: "
                    f"{', '.join(present) or 'none'}",
                )
                return
        view = self._view(request, picture, box)
        asked = ExplainReady(
            request_id=request.request_id,
            classifier=request.classifier,
            class_name=request.class_name,
            xyxy_px=None if box is None or request.classifier else self._input_px(picture, box),
        )

        def draw(done: ExplainDone) -> None:
            self._draw_soon(request, picture, box, view, done)

        if not self._context.engine.explain(asked, pixels=view.pixels.tobytes(), then=draw):
            self._refuse(request, "unavailable", "the engine is being started; ask again")

    def _view(self, request: ExplainSnapshot, picture: U8, box: Box | None) -> View:
        if not request.classifier:
            return View.of_picture(picture, self._context.letterbox(picture))
        infos = {info.name: info for info in self._context.settings.classifiers}
        return View.of_object(picture, box, side_px=infos[request.classifier].input_px)

    def _input_px(self, picture: U8, box: Box) -> Box:
        letterbox = self._context.letterbox(picture)
        x1, y1, x2, y2 = letterbox.to_input_px(np.array([box], np.float32))[0].tolist()
        return (x1, y1, x2, y2)

    def _draw_soon(
        self, request: ExplainSnapshot, picture: U8, box: Box | None, view: View, done: ExplainDone
    ) -> None:
        if done.error_kind:
            self._refuse(request, done.error_kind, done.error)
            return
        try:
            self._worker.give(lambda: self._draw(request, picture, box, view, done))
        except Busy as error:
            self._refuse(request, "busy", str(error))

    def _draw(
        self, request: ExplainSnapshot, picture: U8, box: Box | None, view: View, done: ExplainDone
    ) -> None:
        heat: F32 = np.frombuffer(done.heat, np.float32).reshape(done.height, done.width)
        drawn = draw_heat(picture, view.onto_place(heat), place=view.place)
        caption(drawn, f"{done.class_name} {done.score:.2f}", box)
        _, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        answer = SnapshotExplained(
            request_id=request.request_id, class_name=done.class_name, score=done.score
        )
        self._context.send(answer, payload=jpeg.tobytes())

    def _refuse(self, request: ExplainSnapshot, kind: ExplainRefusal, detail: str) -> None:
        self._context.send(
            SnapshotExplained(request_id=request.request_id, error=detail, error_kind=kind)
        )


def box_of(track_id: int, analysed: Analysed) -> Box | None:
    """Where a track was found in a frame; None where it was not."""
    for track in analysed.tracks:
        if track.track_id == track_id and track.state is TrackState.CONFIRMED:
            return track.xyxy
    return None

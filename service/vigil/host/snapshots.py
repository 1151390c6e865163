"""Pictures that clients ask for: the next analysed frame of a camera as JPEG."""

import cv2

from vigil.data import U8
from vigil.draw import annotate
from vigil.errors import Busy
from vigil.host.answers import found_objects
from vigil.host.camera import Analysed, Camera
from vigil.host.context import HostContext
from vigil.host.shrink import at_most
from vigil.host.worker import Worker
from vigil.ipc.messages import SnapshotTaken, TakeSnapshot

JPEG_QUALITY = 90


class Snapshots:
    """Encodes on the worker what the host's loop hands over."""

    def __init__(self, context: HostContext, worker: Worker) -> None:
        self._context = context
        self._worker = worker

    def take(self, request: TakeSnapshot, camera: Camera | None) -> None:
        """Encode the next analysed frame of a camera; the answer goes to the service."""
        if camera is None:
            self._refuse(request, "the stream is not running")
            return
        camera.want_picture(lambda analysed: self._encode_soon(request, camera, analysed))

    def _encode_soon(
        self, request: TakeSnapshot, camera: Camera, analysed: Analysed | None
    ) -> None:
        if analysed is None or analysed.picture is None:
            self._refuse(request, "the stream gave no picture; see its state")
            return
        picture = analysed.picture
        try:
            self._worker.give(lambda: self._encode(request, camera, analysed, picture))
        except Busy as error:
            self._refuse(request, str(error))

    def _encode(
        self, request: TakeSnapshot, camera: Camera, analysed: Analysed, picture: U8
    ) -> None:
        if request.annotated:
            picture = annotate(
                picture,
                tracks=analysed.tracks,
                class_names=self._context.settings.classes,
                rules=camera.spec.rules,
            )
        picture = at_most(picture, request.max_width_px)
        height_px, width_px = picture.shape[:2]
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        answer = SnapshotTaken(
            request_id=request.request_id,
            width_px=width_px,
            height_px=height_px,
            captured_at_s=analysed.captured_at_s,
            run=analysed.run,
            seq=analysed.seq,
            found=found_objects(analysed.found, analysed.tracks),
        )
        self._context.send(answer, payload=jpeg.tobytes())

    def _refuse(self, request: TakeSnapshot, detail: str) -> None:
        self._context.send(SnapshotTaken(request_id=request.request_id, error=detail))

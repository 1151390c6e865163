"""Pictures of events: the frame that they were found in, encoded on the worker and sent to the service.

No event waits for its picture: it is on its way before the picture is encoded, and goes without one where
the camera has too many being encoded.
"""

from collections.abc import Callable

import cv2
import msgspec

from vigil.data import U8, Event, Phase, SnapshotName
from vigil.host.context import HostContext
from vigil.host.shrink import at_most
from vigil.ipc.messages import EventPicture
from vigil.spec import StreamSpec

MOST_WAITING = 2  # pictures of a camera that are being encoded, or wait for it
MOST_BYTES = 1024 * 1024  # of a picture
QUALITIES = (85, 60, 35)  # the first that stays below it


class EventPictures:
    """Those of one camera. Belongs to the host's loop; readers ask what is `wanted`."""

    def __init__(self, stream_id: str, context: HostContext) -> None:
        self._stream_id = stream_id
        self._context = context
        self._waiting = 0

    def wanted(self, spec: StreamSpec) -> bool:
        """Whether frames have to be kept until their events are known."""
        return spec.event_snapshots.enabled and self._context.settings.snapshot_px > 0

    def announce(
        self, events: list[Event], spec: StreamSpec, *, run: int, seq: int, utc_s: float
    ) -> tuple[list[Event], str]:
        """A frame's events, with the name of its picture in those that are to have one, and that name.

        No name: none is to be taken. Otherwise `take` follows, once the events are on their way.
        """
        chosen = [
            event.phase is Phase.NEW
            and event.type != "marker"
            and spec.event_snapshots.wants(event.rule_id)
            for event in events
        ]
        if not any(chosen) or not self.wanted(spec):
            return events, ""
        if self._waiting >= MOST_WAITING:
            self._context.send(EventPicture(stream_id=self._stream_id, name="", lost="busy"))
            return events, ""
        name = str(SnapshotName(self._stream_id, utc_s, run, seq))
        named = [
            msgspec.structs.replace(event, snapshot=name) if wanted else event
            for event, wanted in zip(events, chosen, strict=True)
        ]
        return named, name

    def take(self, name: str, picture: U8, *, then: Callable[[], None]) -> None:
        """Encode a picture (H, W, 3) uint8 BGR and send it; ``then`` is called on the loop in any case."""
        self._waiting += 1

        def done() -> None:
            self._waiting -= 1
            then()

        def work() -> None:
            try:
                self._send(name, picture)
            finally:
                self._context.post(done)

        self._context.worker.give_own(work)

    def _send(self, name: str, picture: U8) -> None:
        try:
            jpeg = _encoded(at_most(picture, self._context.settings.snapshot_px))
        except (cv2.error, MemoryError):  # hosts have a limit of memory
            jpeg = None
        message = EventPicture(
            stream_id=self._stream_id, name=name, lost="" if jpeg else "encoding"
        )
        self._context.send(message, payload=jpeg or b"")


def _encoded(picture: U8) -> bytes | None:
    """A picture as JPEG of at most MOST_BYTES; None where no quality makes it so small."""
    for quality in QUALITIES:
        done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and jpeg.nbytes <= MOST_BYTES:
            return jpeg.tobytes()
    return None

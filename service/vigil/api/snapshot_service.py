"""SnapshotService: pictures of a stream."""

from typing import Any

from vigil.api.past import MAX_EPISODE_ID, Past
from vigil.api.results import event_message, snapshot_message
from vigil.errors import FieldViolation, InvalidRequest
from vigil.fleet.contract import ExplainTarget, Fleet
from vigil.v1 import snapshots_pb2, snapshots_pb2_grpc

MAX_WIDTH_PX = 16_384


class SnapshotService(snapshots_pb2_grpc.SnapshotServiceServicer):
    """Serves what streams see. Errors are raised; `vigil.api.calls` makes statuses of them."""

    def __init__(self, *, fleet: Fleet, past: Past) -> None:
        self._fleet = fleet
        self._past = past

    async def GetSnapshot(  # noqa: N802 - the contract's name, as all of this class
        self, request: snapshots_pb2.GetSnapshotRequest, context: Any
    ) -> snapshots_pb2.GetSnapshotResponse:
        """The last analysed frame of a stream."""
        if not request.stream_id:
            raise InvalidRequest([FieldViolation("stream_id", "is empty; name the stream")])
        if request.max_width_px > MAX_WIDTH_PX:
            raise InvalidRequest([FieldViolation("max_width_px", f"is above {MAX_WIDTH_PX}")])
        snapshot = await self._fleet.snapshot(
            request.stream_id, annotated=request.annotated, max_width_px=request.max_width_px
        )
        return snapshot_message(snapshot)

    async def GetEventSnapshot(  # noqa: N802
        self, request: snapshots_pb2.GetEventSnapshotRequest, context: Any
    ) -> snapshots_pb2.GetEventSnapshotResponse:
        """The picture that an event was found in."""
        if not 0 < len(request.episode_id) <= MAX_EPISODE_ID or not request.episode_id.isascii():
            raise InvalidRequest([FieldViolation("episode_id", "use the episode_id of an event")])
        published, jpeg = await self._past.picture(request.episode_id)
        event, event_seq, published_at_s = published
        return snapshots_pb2.GetEventSnapshotResponse(
            jpeg=jpeg,
            event=event_message(event, event_seq=event_seq, published_at_s=published_at_s),
        )

    async def ExplainDetection(  # noqa: N802
        self, request: snapshots_pb2.ExplainDetectionRequest, context: Any
    ) -> snapshots_pb2.ExplainDetectionResponse:
        """A heat map on the last analysed frame of a stream."""
        if not request.stream_id:
            raise InvalidRequest([FieldViolation("stream_id", "is empty; name the stream")])
        explained = await self._fleet.explain(request.stream_id, _target(request))
        return snapshots_pb2.ExplainDetectionResponse(
            jpeg=explained.jpeg, class_name=explained.class_name, score=explained.score
        )


def _target(request: snapshots_pb2.ExplainDetectionRequest) -> ExplainTarget:
    """What is to be explained. Raises InvalidRequest."""
    named, box = request.WhichOneof("target"), request.bbox
    xyxy = (box.x1, box.y1, box.x2, box.y2)
    if named == "bbox" and not (
        all(0.0 <= value <= 1.0 for value in xyxy) and box.x1 < box.x2 and box.y1 < box.y2
    ):
        raise InvalidRequest(
            [
                FieldViolation(
                    "bbox", "give x1 < x2 and y1 < y2, fractions of the picture from 0 to 1"
                )
            ]
        )
    return ExplainTarget(
        track_id=request.track_id if named == "track_id" else None,
        xyxy=xyxy if named == "bbox" else None,
        class_name=request.class_name if named == "class_name" else "",
        classifier=request.classifier,
    )

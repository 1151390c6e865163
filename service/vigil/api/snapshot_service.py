"""SnapshotService: pictures of a stream."""

from typing import Any

from vigil.api.results import snapshot_message
from vigil.errors import FieldViolation, InvalidRequest, NotServedYet
from vigil.fleet.contract import Fleet
from vigil.v1 import snapshots_pb2, snapshots_pb2_grpc

MAX_WIDTH_PX = 16_384


class SnapshotService(snapshots_pb2_grpc.SnapshotServiceServicer):
    """Serves what streams see. Errors are raised; `vigil.api.calls` makes statuses of them."""

    def __init__(self, *, fleet: Fleet) -> None:
        self._fleet = fleet

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

    async def ExplainDetection(  # noqa: N802
        self, request: snapshots_pb2.ExplainDetectionRequest, context: Any
    ) -> snapshots_pb2.ExplainDetectionResponse:
        """Not served yet."""
        raise NotServedYet("SnapshotService.ExplainDetection is not served by this version")

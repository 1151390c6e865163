"""What is sent back: events, detections and pictures as messages."""

from vigil.api.times import duration, timestamp
from vigil.data import Attributes, Event
from vigil.events.verdicts import Verdict
from vigil.fleet.contract import Found, PictureResult, Snapshot
from vigil.v1 import analysis_pb2, events_pb2, geometry_pb2, snapshots_pb2


def event_message(
    event: Event, *, event_seq: int = 0, published_at_s: float | None = None
) -> events_pb2.Event:
    """An event; ``event_seq`` and ``published_at_s`` (UTC) are the outbox's and the publisher's."""
    message = events_pb2.Event(
        event_id=event.event_id,
        episode_id=event.episode_id,
        type=event.type,
        phase=event.phase.name,
        stream_id=event.stream_id,
        run=event.run,
        event_seq=event_seq,
        rule_id=event.rule_id,
        track_id=event.track_id,
        score=event.score,
        occurred_at=timestamp(event.occurred_at_s),
        labels=event.labels,
        snapshot=event.snapshot or "",
    )
    if event.class_name is not None:
        setattr(message, "class", event.class_name)  # the contract's name, a keyword of Python's
    if event.bbox is not None:
        message.bbox.CopyFrom(box_message(event.bbox))
    if published_at_s is not None:
        message.published_at.CopyFrom(timestamp(published_at_s))
    _fill_attributes(message, event.attributes)
    return message


def verdict_message(verdict: Verdict) -> events_pb2.Verdict:
    """What an operator said, with the event that it is about."""
    event, event_seq, published_at_s = verdict.event
    return events_pb2.Verdict(
        episode_id=event.episode_id,
        value=verdict.value.name,
        note=verdict.note,
        operator=verdict.operator,
        reported_at=timestamp(verdict.reported_at_s),
        stream_id=event.stream_id,
        event_type=event.type,
        event=event_message(event, event_seq=event_seq, published_at_s=published_at_s),
    )


def box_message(xyxy: tuple[float, float, float, float]) -> geometry_pb2.Box:
    """A normalised box."""
    x1, y1, x2, y2 = xyxy
    return geometry_pb2.Box(x1=x1, y1=y1, x2=x2, y2=y2)


def detection_message(found: Found) -> analysis_pb2.Detection:
    """One object of a picture."""
    return analysis_pb2.Detection(
        bbox=box_message(found.xyxy),
        score=found.score,
        class_name=found.class_name,
        track_id=found.track_id,
    )


def picture_message(result: PictureResult) -> analysis_pb2.PictureAnalysis:
    """What was found in one picture."""
    return analysis_pb2.PictureAnalysis(
        detections=[detection_message(found) for found in result.found],
        width_px=result.width_px,
        height_px=result.height_px,
        model=result.model,
        infer_time=duration(result.infer_s),
    )


def snapshot_message(snapshot: Snapshot) -> snapshots_pb2.GetSnapshotResponse:
    """A stream's newest analysed picture."""
    return snapshots_pb2.GetSnapshotResponse(
        jpeg=snapshot.jpeg,
        width_px=snapshot.width_px,
        height_px=snapshot.height_px,
        captured_at=timestamp(snapshot.captured_at_s),
        run=snapshot.run,
        seq=snapshot.seq,
        detections=[detection_message(found) for found in snapshot.found],
    )


def _fill_attributes(message: events_pb2.Event, attributes: Attributes) -> None:
    if attributes:
        message.attributes.update(attributes)

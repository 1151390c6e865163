"""What has happened: the event log, what operators said of it, and the pictures of events."""

from dataclasses import dataclass

from vigil.data import SnapshotName
from vigil.errors import UnknownSnapshot
from vigil.events.log import EventLog
from vigil.events.schema import Published
from vigil.events.verdicts import Verdicts
from vigil.fleet.event_pictures import EventPictures

MAX_EPISODE_ID = 64


@dataclass(frozen=True, slots=True)
class Past:
    """Where gRPC and the live page look for it."""

    log: EventLog
    verdicts: Verdicts
    pictures: EventPictures | None = None  # None: none are kept

    async def picture(self, episode_id: str) -> tuple[Published, bytes]:
        """An episode's first event and the JPEG of its picture. Raises UnknownSnapshot, Unavailable.

        Whether the caller may see the event's stream is judged before.
        """
        published = await self.verdicts.episode(episode_id)
        if published is None:
            raise UnknownSnapshot(
                f"no event of episode {episode_id!r} is kept: ListEvents shows those that are"
            )
        event = published.event
        if event.snapshot is None:
            raise UnknownSnapshot(
                f"the event has no picture: event_snapshots of stream {event.stream_id!r} asks for them"
            )
        name = SnapshotName.parse(event.snapshot)
        jpeg = None
        if self.pictures is not None and name is not None and name.stream_id == event.stream_id:
            jpeg = await self.pictures.read(name)
        if jpeg is None:
            raise UnknownSnapshot(
                "the event's picture is lost or no longer kept: see snapshots.retention_s and"
                " snapshots.max_bytes, and vigil_snapshots_dropped_total"
            )
        return published, jpeg

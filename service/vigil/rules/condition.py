"""Something that holds or does not, and is told of once it has held for a while."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vigil.data import Event, JsonScalar
from vigil.rules.report import TOLERANCE_S, Episode, seconds
from vigil.rules.subject import Moment, Reason


@dataclass(slots=True)
class Condition:
    """A condition's episodes: new after ``duration_s``, update every ``update_s``, end.

    ``update_s`` None: no updates. ``begin`` makes the episode when there is something to tell.
    """

    begin: Callable[[], Episode]
    duration_s: float
    update_s: float | None = None
    since_s: float | None = None  # frame time since which it holds
    _episode: Episode | None = None
    _told_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether new was told and end was not."""
        return self._episode is not None

    def hold(self, moment: Moment, *, at_s: float, **attributes: JsonScalar) -> Iterator[Event]:
        """It holds in this frame; ``at_s`` is since when, if it did not before."""
        if self.since_s is None:
            self.since_s = at_s
        held_s = moment.time_s - self.since_s
        if self._episode is None:
            if held_s >= self.duration_s - TOLERANCE_S:
                self._episode = self.begin()
                self._told_s = due_s = self.since_s + self.duration_s
                yield self._episode.new(
                    moment, at_s=due_s, duration_s=seconds(self.duration_s), **attributes
                )
        elif self.update_s is not None and (
            moment.time_s - self._told_s >= self.update_s - TOLERANCE_S
        ):
            self._told_s = moment.time_s
            yield self._episode.update(
                moment, at_s=moment.time_s, duration_s=seconds(held_s), **attributes
            )

    def cease(
        self, moment: Moment, *, at_s: float, reason: Reason, **attributes: JsonScalar
    ) -> Iterator[Event]:
        """It holds no more, since ``at_s``; an end is not told to be before its beginning."""
        episode, since_s = self._episode, self.since_s
        self._episode = self.since_s = None
        if episode is not None and since_s is not None:
            at_s = max(at_s, since_s + self.duration_s)
            yield episode.end(
                moment,
                at_s=at_s,
                duration_s=seconds(at_s - since_s),
                reason=reason.value,
                **attributes,
            )

"""Whether a rule watches at a moment: windows of local time in the site's zone."""

from datetime import UTC, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from vigil.spec import Schedule, Window


class Hours:
    """A schedule that can be asked. Asked again within the same second it answers from memory."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._second = -1
        self._answer = True

    def watch_at(self, utc_s: float) -> bool:
        """Whether the instant lies in one of the windows; always, where there are none."""
        if not self._schedule.windows:
            return True
        if int(utc_s) != self._second:
            self._second = int(utc_s)
            local = datetime.fromtimestamp(utc_s, UTC).astimezone(self._zone)
            day_s = local.hour * 3600 + local.minute * 60 + local.second
            self._answer = any(
                _covers(window, local.weekday(), day_s) for window in self._schedule.windows
            )
        return self._answer

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._schedule.time_zone)


def _covers(window: Window, weekday: int, day_s: int) -> bool:
    """Whether a window covers that second of that day, begun on it or on the day before."""
    days = window.days or tuple(range(7))
    if window.start_s < window.end_s:
        return weekday in days and window.start_s <= day_s < window.end_s
    began_today = weekday in days and day_s >= window.start_s
    began_yesterday = (weekday - 1) % 7 in days and day_s < window.end_s
    return began_today or began_yesterday

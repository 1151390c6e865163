"""When a frame was taken, in monotonic seconds, from what its stream says and when it arrived.

Assumptions, and what happens when one fails: a stream's timestamps (PTS) run at the rate of real time
(else arrival counts: MJPEG over HTTP was seen to say 1.6 s in 7.6 s); they increase (a small step back
is jitter, a wrap is unrolled, any other jump back ends the run); the camera's clock drifts slowly (the
offset between PTS and arrival is the smallest of the last minute, so neither drift nor a burst at
connection moves frames by more than the jitter of the network).
"""

JITTER_S = 0.5  # a step back up to this is jitter, not a jump
TRUST_AFTER_S = 3.0  # arrival counts until PTS have shown their rate for so long
RATE_TOLERANCE = 0.1
WINDOW_S = 30.0
# PTS that fall behind arrival in two windows of this length have lost their rate, and count no more: an MJPEG
# camera whose timestamps say 25 frames a second was trusted after a burst of that rate, and its frames
# taken for stale for the rest of the 30 s. A stall of the network is one window, and then PTS catch up.
LAG_WINDOW_S = 2.0
WRAPS_S = (2**33 / 90_000, 2**32 / 90_000)  # MPEG-TS and RTP clocks of 90 kHz
_WRAP_TOLERANCE = 0.01
_LEAST_STEP_S = 1e-4


class TimeWentBack(Exception):
    """The stream's time jumped back: what comes is another run."""


class FileTimeline:
    """Frames of a file, at their own timestamps from the run's first.

    Where those stand still from the start (a bare H.264 file has none), frames are ``interval_s`` apart.
    """

    def __init__(self, anchor_s: float, *, interval_s: float) -> None:
        self._anchor_s = anchor_s
        self._interval_s = interval_s
        self._first_pts_s: float | None = None
        self._standing = 0  # frames at the first one's timestamp
        self._last_s = -1.0

    def place(self, pts_s: float, _arrival_s: float) -> float:
        """Monotonic seconds of the frame. Raises TimeWentBack."""
        if self._first_pts_s is None:
            self._first_pts_s = pts_s
        offset_s = pts_s - self._first_pts_s
        if offset_s == 0.0 and self._last_s <= self._standing * self._interval_s:
            offset_s = self._standing * self._interval_s
            self._standing += 1
        if offset_s < self._last_s - JITTER_S:
            raise TimeWentBack(f"from {self._last_s:.3f} s to {offset_s:.3f} s")
        self._last_s = max(offset_s, self._last_s + _LEAST_STEP_S)
        return self._anchor_s + self._last_s


class LiveTimeline:
    """Frames of a camera: by PTS where its rate agrees with arrival within 10 %, else by arrival."""

    def __init__(self) -> None:
        self._unrolled_s = 0.0  # what wraps have added
        self._last_pts_s: float | None = None
        self._last_s: float | None = None
        self._trusted = False
        self._window_start: tuple[float, float] | None = None  # (PTS, arrival)
        self._lag_start = (0.0, 0.0)  # likewise
        self._lagged = 0  # windows, one after the other
        self._offset_s = float("inf")  # the smallest arrival - PTS of this window
        self._previous_offset_s = float("inf")

    def place(self, pts_s: float, arrival_s: float) -> float:
        """Monotonic seconds of the frame, never later than its arrival. Raises TimeWentBack."""
        pts_s = self._unroll(pts_s)
        if self._window_start is None:
            self._window_start = (pts_s, arrival_s)
        self._offset_s = min(self._offset_s, arrival_s - pts_s)
        if self._trusted and self._falls_behind(pts_s, arrival_s):
            self._trust(False, pts_s, arrival_s)
        else:
            self._judge(pts_s, arrival_s)
        time_s = arrival_s
        if self._trusted:
            time_s = pts_s + min(self._offset_s, self._previous_offset_s)
        if self._last_s is not None:
            time_s = max(time_s, self._last_s + _LEAST_STEP_S)
        self._last_s = time_s
        return time_s

    def _unroll(self, raw_s: float) -> float:
        pts_s = raw_s + self._unrolled_s
        last_s = self._last_pts_s
        if last_s is not None and pts_s < last_s - JITTER_S:
            jump_s = last_s - pts_s
            wrap_s = next((w for w in WRAPS_S if abs(jump_s - w) < w * _WRAP_TOLERANCE), None)
            if wrap_s is None:
                raise TimeWentBack(f"by {jump_s:.3f} s")
            self._unrolled_s += wrap_s
            pts_s += wrap_s
        self._last_pts_s = pts_s if last_s is None else max(pts_s, last_s)
        return pts_s

    def _judge(self, pts_s: float, arrival_s: float) -> None:
        assert self._window_start is not None
        first_pts_s, first_arrival_s = self._window_start
        elapsed_s = arrival_s - first_arrival_s
        if elapsed_s < (WINDOW_S if self._trusted else TRUST_AFTER_S):
            return
        rate = (pts_s - first_pts_s) / elapsed_s
        # every window judges anew: a burst at connection makes the first one look wrong
        self._trust(abs(rate - 1.0) <= RATE_TOLERANCE, pts_s, arrival_s)

    def _falls_behind(self, pts_s: float, arrival_s: float) -> bool:
        first_pts_s, first_arrival_s = self._lag_start
        elapsed_s = arrival_s - first_arrival_s
        if elapsed_s < LAG_WINDOW_S:
            return False
        late_s = arrival_s - pts_s - min(self._offset_s, self._previous_offset_s)
        slow = (pts_s - first_pts_s) / elapsed_s < 1.0 - RATE_TOLERANCE
        self._lagged = self._lagged + 1 if slow and late_s > JITTER_S else 0
        self._lag_start = (pts_s, arrival_s)
        return self._lagged >= 2

    def _trust(self, trusted: bool, pts_s: float, arrival_s: float) -> None:
        """Begin a window, by PTS or by arrival."""
        if trusted and not self._trusted:
            self._lag_start, self._lagged = (pts_s, arrival_s), 0
        self._trusted = trusted
        self._window_start = (pts_s, arrival_s)
        self._previous_offset_s = self._offset_s
        self._offset_s = arrival_s - pts_s

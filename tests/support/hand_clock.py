"""A clock that stands still until a test sets it."""


class HandClock:
    """Both clocks show ``now_s``."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s

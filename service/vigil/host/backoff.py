"""How long a reader waits before it tries a camera again."""

import random

from vigil.data import OfflineReason

FIRST_S = 1.0
LONGEST_S = 10.0
AUTH_FIRST_S = 30.0  # a wrong password stays wrong, and cameras lock accounts
AUTH_LONGEST_S = 300.0


class Backoff:
    """Doubling waits with jitter, for ever, so that a hundred cameras do not come back as a herd."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._failures = 0

    def succeeded(self) -> None:
        """A frame came: the next failure begins at the shortest wait."""
        self._failures = 0

    def next_s(self, reason: OfflineReason) -> float:
        """The wait after one more failure: between half of it and the whole, by chance."""
        auth = reason is OfflineReason.AUTH_FAILED
        first_s, longest_s = (AUTH_FIRST_S, AUTH_LONGEST_S) if auth else (FIRST_S, LONGEST_S)
        whole_s = min(longest_s, first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return whole_s * self._draw.uniform(0.5, 1.0)

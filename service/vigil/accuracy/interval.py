"""Shares with the interval in which the truth behind them lies."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """``count`` of ``of``. Without any there is no share: value is NaN, the interval 0 to 1."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.of if self.of else math.nan

    def interval(self, z: float = Z_95) -> tuple[float, float]:
        """Wilson's score interval (Wilson 1927), 95 % by default."""
        if not self.of:
            return 0.0, 1.0
        share, spread = self.value, z * z / self.of
        middle = (share + spread / 2) / (1 + spread)
        half = z / (1 + spread) * math.sqrt(share * (1 - share) / self.of + spread / (4 * self.of))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def __str__(self) -> str:
        low, high = self.interval()
        if not self.of:
            return "none to judge"
        return f"{self.value:.3f} ({self.count} of {self.of}; 95 %: {low:.3f} to {high:.3f})"

"""A span that is over, before OpenTelemetry has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Attribute: TypeAlias = bool | int | float | str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Span:
    """What took from one moment to another; both UTC seconds."""

    name: str
    began_s: float
    ended_s: float
    attributes: dict[str, Attribute] = field(default_factory=dict)
    failed: bool = False

"""The text that Prometheus reads, and the type of what it is made from: no other room needs its library."""

from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Registry: TypeAlias = CollectorRegistry
CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(registry: Registry) -> bytes:
    """All metrics as they are now, in Prometheus' text format."""
    return generate_latest(registry)

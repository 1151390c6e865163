"""What one check found."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it runs, and something may be lost or late
    PROBLEM = "problem"  # it does not run, or events are lost now


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do about it where it is not well."""

    check: str
    level: Level
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Something may be lost or late."""
    return Finding(check, Level.WARNING, found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """It does not run, or events are lost now."""
    return Finding(check, Level.PROBLEM, found, advice)

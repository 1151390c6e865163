"""Rules: tracks of one stream in, events out. Pure, no I/O, no clock."""

from vigil.rules.ruleset import RuleSet
from vigil.rules.subject import Moment

__all__ = ["Moment", "RuleSet"]

"""Text for people: columns, colours that vanish where there is no terminal, ages."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

STATE_COLOURS = {
    "ONLINE": "green",
    "CONNECTING": "yellow",
    "PENDING": "yellow",
    "DEGRADED": "yellow",
    "OFFLINE": "red",
    "DISABLED": "bright_black",
}


def columns(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under headers, each column as wide as its widest cell; colours do not count."""
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [
        max(len(click.unstyle(cell)) for cell in column) for column in zip(*cells, strict=True)
    ]
    lines = []
    for number, row in enumerate(cells):
        padded = (
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(row, widths, strict=True)
        )
        line = "  ".join(padded).rstrip()
        lines.append(click.style(line, bold=True) if number == 0 else line)
    return "\n".join(lines)


def state(name: str) -> str:
    """A stream's state in its colour."""
    return click.style(name, fg=STATE_COLOURS.get(name))


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with the names of the contract."""
    return MessageToDict(message, preserving_proto_field_name=True)


def echo_json(value: object, *, one_line: bool = False) -> None:
    """One JSON value on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=None if one_line else 2))


def age(utc_s: float) -> str:
    """How long ago a time was, in the largest unit that says it: 12 s, 3 min, 5 h, 2 d."""
    return _span(time.time() - utc_s)


def until(utc_s: float) -> str:
    """How far ahead a time is: in 12 s, in 3 min; now, where it has come."""
    ahead_s = utc_s - time.time()
    return f"in {_span(ahead_s)}" if ahead_s >= 0.5 else "now"


def _span(lasts_s: float) -> str:
    seconds = max(0.0, lasts_s)
    for unit, length_s in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"

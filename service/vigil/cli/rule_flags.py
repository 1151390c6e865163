"""Rules as a command line gives them: short flags, or a file with the whole of vigil.v1.Rule."""

import json
import tomllib
from pathlib import Path

import click
from google.protobuf.json_format import ParseDict, ParseError

from vigil.v1 import geometry_pb2, rules_pb2

FORM = 'NAME:X,Y;X,Y;…, each X and Y from 0 to 1, such as "gate:0.1,0.5;0.9,0.5;0.9,1;0.1,1"'


def zone_rule(text: str, *, dwell_s: float) -> rules_pb2.Rule:
    """The zone that a flag describes."""
    name, points = _named_points(text, "--zone")
    rule = rules_pb2.Rule(rule_id=name, zone=rules_pb2.ZoneRule(polygon=points))
    if dwell_s:
        rule.zone.dwell.FromMicroseconds(round(dwell_s * 1e6))
    return rule


def line_rule(text: str) -> rules_pb2.Rule:
    """The line that a flag describes."""
    name, points = _named_points(text, "--line")
    return rules_pb2.Rule(rule_id=name, line=rules_pb2.LineRule(points=points))


def mask(text: str) -> geometry_pb2.Polygon:
    """The privacy mask that a flag describes."""
    points = _points(text)
    if not points:
        raise click.UsageError(f"--mask {text!r}: write X,Y;X,Y;X,Y, each from 0 to 1")
    return geometry_pb2.Polygon(points=points)


def rules_from_file(path: Path) -> list[rules_pb2.Rule]:
    """The rules of a JSON or TOML file: a list named ``rules``, each as protobuf's JSON mapping has it."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--rules {path}: {error}") from None
    listed = document.get("rules") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise click.UsageError(f'--rules {path}: holds no list named "rules"')
    rules = []
    for index, item in enumerate(listed):
        try:
            rules.append(ParseDict(item, rules_pb2.Rule()))
        except ParseError as error:
            raise click.UsageError(f"--rules {path}: rules[{index}]: {error}") from None
    return rules


def _named_points(text: str, flag: str) -> tuple[str, list[geometry_pb2.Point]]:
    name, separator, rest = text.partition(":")
    points = _points(rest)
    if not separator or not points:
        raise click.UsageError(f"{flag} {text!r}: write {FORM}")
    return name.strip(), points


def _points(text: str) -> list[geometry_pb2.Point]:
    """The points of X,Y;X,Y;…; none where it is malformed."""
    try:
        pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
        return [geometry_pb2.Point(x=float(x), y=float(y)) for x, y in pairs]
    except ValueError:
        return []

"""The options that define a stream, shared by `stream add` and `stream update`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vigil.cli.rule_flags import FORM, line_rule, mask, rules_from_file, zone_rule
from vigil.v1 import rules_pb2, streams_pb2

F = TypeVar("F", bound=Callable[..., Any])
PASSWORD_ENV = "VIGIL_STREAM_PASSWORD"  # noqa: S105 - a variable's name

_OPTIONS = (
    click.option("--zone", "zones", multiple=True, metavar="NAME:POINTS", help=f"A zone: {FORM}."),
    click.option("--line", "lines", multiple=True, metavar="NAME:POINTS", help="A line, likewise."),
    click.option("--dwell", "dwell_s", type=float, default=0.0, metavar="SECONDS",
                 help="Report objects that stay in a --zone for so long."),
    click.option("--tracks", is_flag=True, help="Report every confirmed track."),
    click.option("--rules", "rules_file", type=click.Path(path_type=Path, dir_okay=False),
                 help="Rules from a JSON or TOML file (vigil.v1.Rule), instead of the flags."),
    click.option("--mask", "masks", multiple=True, metavar="POINTS",
                 help="A privacy mask, X,Y;X,Y;…: black before anything is detected or kept; repeat."),
    click.option("--detect-fps", type=float, help="Frames analysed a second (5)."),
    click.option("--priority", type=int, help="Weight under overload, 1 to 10 (1)."),
    click.option("--model", help="The detector (the service's)."),
    click.option("--class", "classes", multiple=True, metavar="NAME", help="Only this class; repeat."),
    click.option("--min-score", type=float, help="Only detections of at least this score, 0 to 1."),
    click.option("--second-stage", "second_stages", multiple=True, metavar="CLASSIFIER[:CLASS,…]",
                 help="Classify the crops of tracks (of these classes); repeat."),
    click.option("--event-snapshots/--no-event-snapshots", default=None,
                 help="Keep the pictures of events (they show people; the service has to allow it)."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE",
                 help="Free text that every event carries; repeat."),
    click.option("--enabled/--disabled", default=None, help="Whether it is opened at all (it is)."),
    click.option("--pace", type=click.Choice(["real-time", "fast"]), help="How a file is played."),
    click.option("--loop/--once", default=None, help="Whether a file begins again at its end."),
    click.option("--folder-fps", type=float, help="The rate that an image folder is played at (5)."),
    click.option("--backend", type=click.Choice(["opencv", "pyav"]), help="What decodes."),
    click.option("--secret-ref", metavar="env:NAME|file:/PATH",
                 help="Where the service finds the camera's password, whenever it opens it."),
    click.option("--username", help="The camera's user."),
    click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False),
                 help=f"A file with the camera's password; or set {PASSWORD_ENV}."),
)  # fmt: skip


def stream_options(command: F) -> F:
    """Adds every option of a definition."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def definition(
    stream_id: str, uri: str | None, flags: dict[str, Any]
) -> tuple[streams_pb2.StreamSpec, list[str]]:
    """The definition that the flags describe, and the names of the fields that they set."""
    message = streams_pb2.StreamSpec(stream_id=stream_id)
    fields = _scalars(message, flags)
    if _source(message.source, uri, flags):
        fields.append("source")
    if rules := _rules(flags):
        message.rules.extend(rules)
        fields.append("rules")
    if flags["masks"]:
        message.privacy_masks.extend(mask(text) for text in flags["masks"])
        fields.append("privacy_masks")
    if flags["second_stages"]:
        message.second_stages.extend(_second_stage(text) for text in flags["second_stages"])
        fields.append("second_stages")
    if flags["event_snapshots"] is not None:
        message.event_snapshots.enabled = flags["event_snapshots"]
        fields.append("event_snapshots")
    if flags["labels"]:
        message.labels.update(_label(text) for text in flags["labels"])
        fields.append("labels")
    return message, fields


def source_uri(source: str) -> str:
    """A source as typed, with the path of an existing file or folder made a URI."""
    if "://" not in source and source != "push:":
        path = Path(source).expanduser()
        if path.exists():
            scheme = "folder" if path.is_dir() else "file"
            return path.resolve().as_uri().replace("file", scheme, 1)
    return source


def _scalars(message: streams_pb2.StreamSpec, flags: dict[str, Any]) -> list[str]:
    fields = []
    for field in ("enabled", "detect_fps", "priority", "model", "min_score"):
        if flags[field] is not None:
            try:
                setattr(message, field, flags[field])
            except ValueError:
                raise click.UsageError(f"--{field.replace('_', '-')} is out of range") from None
            fields.append(field)
    if flags["classes"]:
        message.classes.extend(flags["classes"])
        fields.append("classes")
    return fields


def _source(message: streams_pb2.Source, uri: str | None, flags: dict[str, Any]) -> bool:
    """Fill the source in; says whether any flag is about it."""
    if uri is not None:
        message.uri = source_uri(uri)
    if flags["pace"]:
        message.MergeFrom(streams_pb2.Source(pace=flags["pace"].upper().replace("-", "_")))
    if flags["backend"]:
        message.MergeFrom(streams_pb2.Source(backend=flags["backend"].upper()))
    if flags["loop"] is not None:
        message.loop = flags["loop"]
    if flags["folder_fps"] is not None:
        message.folder_fps = flags["folder_fps"]
    if flags["password_file"] and flags["secret_ref"]:
        raise click.UsageError("give the password by --password-file or --secret-ref, not by both")
    if flags["username"]:
        message.credentials.username = flags["username"]
        if flags["secret_ref"]:
            message.credentials.secret_ref = flags["secret_ref"]
        else:
            message.credentials.password = _password(flags["password_file"])
    elif flags["password_file"] or flags["secret_ref"]:
        raise click.UsageError("--password-file and --secret-ref go with --username")
    return bool(message.ListFields()) or flags["loop"] is not None


def _password(path: Path | None) -> str:
    if path is None:
        return os.environ.get(PASSWORD_ENV, "")
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--password-file {path}: {error}") from None


def _rules(flags: dict[str, Any]) -> list[rules_pb2.Rule]:
    rules = [zone_rule(text, dwell_s=flags["dwell_s"]) for text in flags["zones"]]
    rules += [line_rule(text) for text in flags["lines"]]
    if flags["tracks"]:
        rules.append(rules_pb2.Rule(rule_id="tracks", track=rules_pb2.TrackRule()))
    if flags["rules_file"]:
        if rules:
            raise click.UsageError("give rules by --rules or by flags, not by both")
        return rules_from_file(flags["rules_file"])
    return rules


def _second_stage(text: str) -> streams_pb2.SecondStage:
    classifier, _, classes = text.partition(":")
    named = [name.strip() for name in classes.split(",") if name.strip()]
    return streams_pb2.SecondStage(classifier=classifier, classes=named)


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise click.UsageError(f"--label {text!r}: write KEY=VALUE")
    return key, value

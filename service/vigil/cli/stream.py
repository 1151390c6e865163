"""`vigil stream`: adds, changes, removes, shows and watches the streams of a running service."""

from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask

from vigil.cli.baseline import baseline
from vigil.cli.client import address_option, call, connected
from vigil.cli.output import age, as_dict, columns, echo_json, state, until
from vigil.cli.stream_flags import definition, stream_options
from vigil.v1 import streams_pb2
from vigil.v1.streams_pb2_grpc import StreamServiceStub

_json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
_HEADERS = ("STREAM", "STATE", "SINCE", "FPS", "RUN", "SOURCE", "DETAIL")


@click.group(epilog="Example: vigil stream add gate rtsp://camera.example/live")
def stream() -> None:
    """Add, change, show and watch streams of a running service."""


stream.add_command(baseline)


@stream.command(
    epilog='Example: vigil stream add gate rtsp://camera.example/live --zone "yard:0,0.5;1,0.5;1,1;0,1"'
)
@click.argument("stream_id")
@click.argument("source")
@stream_options
@address_option
@_json_option
def add(stream_id: str, source: str, address: str, as_json: bool, **flags: Any) -> None:
    """Add the stream STREAM_ID with its SOURCE: a URI, or the path of a file or folder.

    The same twice is success. Files must lie in sources.file_roots of the service's configuration.
    """
    spec, _ = definition(stream_id, source, flags)
    if "@" in spec.source.uri.partition("://")[2].partition("/")[0]:
        click.echo(
            "A password on the command line is seen by every user of this machine;"
            " prefer --username with --password-file.",
            err=True,
        )
    with connected(address) as channel:
        request = streams_pb2.AddStreamRequest(spec=spec)
        answer = call(StreamServiceStub(channel).AddStream, request)
    _show(answer.stream, as_json)


@stream.command(epilog="Example: vigil stream update gate --detect-fps 10")
@click.argument("stream_id")
@click.option("--source", help="Another source.")
@click.option("--no-rules", is_flag=True, help="Take all rules away.")
@click.option("--no-masks", is_flag=True, help="Take all privacy masks away.")
@click.option("--generation", type=int, default=0, help="Only if this is its generation still.")
@stream_options
@address_option
@_json_option
def update(
    stream_id: str,
    source: str | None,
    no_rules: bool,
    no_masks: bool,
    generation: int,
    address: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Change what the options name of the stream STREAM_ID, and nothing else.

    Rules, masks, classes and labels replace the old ones as a whole.
    """
    spec, fields = definition(stream_id, source, flags)
    if no_rules:
        if "rules" in fields:
            raise click.UsageError("--no-rules goes with no rule")
        fields.append("rules")
    if no_masks:
        if "privacy_masks" in fields:
            raise click.UsageError("--no-masks goes with no mask")
        fields.append("privacy_masks")
    if not fields:
        raise click.UsageError("name something to change; see --help")
    with connected(address) as channel:
        stub = StreamServiceStub(channel)
        if "source" in fields:
            _complete_source(spec.source, stub, stream_id, loop=flags["loop"])
        request = streams_pb2.UpdateStreamRequest(
            spec=spec, update_mask=FieldMask(paths=fields), generation=generation
        )
        answer = call(stub.UpdateStream, request)
    _show(answer.stream, as_json)


@stream.command(epilog="Example: vigil stream remove gate")
@click.argument("stream_ids", nargs=-1, required=True, metavar="STREAM_ID...")
@address_option
def remove(stream_ids: tuple[str, ...], address: str) -> None:
    """Stop and forget streams."""
    with connected(address) as channel:
        for stream_id in stream_ids:
            request = streams_pb2.RemoveStreamRequest(stream_id=stream_id)
            call(StreamServiceStub(channel).RemoveStream, request)
            click.echo(f"removed {stream_id}")


@stream.command(epilog="Example: vigil stream show gate --json")
@click.argument("stream_id")
@address_option
@_json_option
def show(stream_id: str, address: str, as_json: bool) -> None:
    """Show one stream: its definition and what it is doing."""
    with connected(address) as channel:
        request = streams_pb2.GetStreamRequest(stream_id=stream_id)
        answer = call(StreamServiceStub(channel).GetStream, request)
    _show(answer.stream, as_json)


@stream.command("list", epilog="Example: vigil stream list")
@address_option
@_json_option
def list_streams(address: str, as_json: bool) -> None:
    """List all streams with their states."""
    streams: list[streams_pb2.Stream] = []
    with connected(address) as channel:
        request = streams_pb2.ListStreamsRequest(page_size=1000)
        while True:
            page = call(StreamServiceStub(channel).ListStreams, request)
            streams.extend(page.streams)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if as_json:
        echo_json({"streams": [as_dict(one) for one in streams]})
    elif streams:
        click.echo(columns(_HEADERS, [_row(one) for one in streams]))
    else:
        click.echo("no streams; add one with `vigil stream add`", err=True)


@stream.command(epilog="Example: vigil stream watch gate --json")
@click.argument("stream_ids", nargs=-1, metavar="[STREAM_ID]...")
@address_option
@_json_option
def watch(stream_ids: tuple[str, ...], address: str, as_json: bool) -> None:
    """Print streams as they are, then each change, until Ctrl-C. JSON is one object a line."""
    with connected(address) as channel:
        request = streams_pb2.WatchStreamsRequest(stream_ids=stream_ids)
        changes = StreamServiceStub(channel).WatchStreams(request)
        try:
            for change in changes:
                _tell(change, as_json)
        except KeyboardInterrupt:
            changes.cancel()


def _complete_source(
    source: streams_pb2.Source, stub: StreamServiceStub, stream_id: str, *, loop: bool | None
) -> None:
    """Fill in what no option named from the present source: the mask replaces it as a whole."""
    held = call(stub.GetStream, streams_pb2.GetStreamRequest(stream_id=stream_id)).stream
    whole = streams_pb2.Source()
    whole.CopyFrom(held.spec.source)
    whole.MergeFrom(source)
    if loop is not None:  # merging leaves False out
        whole.loop = loop
    source.CopyFrom(whole)


def _tell(change: streams_pb2.WatchStreamsResponse, as_json: bool) -> None:
    if as_json:
        echo_json(as_dict(change), one_line=True)
    elif change.removed:
        click.echo(f"{change.stream.spec.stream_id}  removed")
    else:
        name, state_name, _, fps, run, _, detail = _row(change.stream)
        click.echo(f"{name}  {state_name}  run {run}  {fps} fps  {detail}".rstrip())


def _snapshots(asked: streams_pb2.EventSnapshots) -> str:
    if not asked.enabled:
        return "none"
    return f"of the events of {', '.join(asked.rule_ids)}" if asked.rule_ids else "of all events"


def _show(one: streams_pb2.Stream, as_json: bool) -> None:
    if as_json:
        echo_json(as_dict(one))
        return
    rows = list(zip(_HEADERS, _row(one), strict=True))
    rows += [
        ("GENERATION", str(one.generation)),
        ("DETECT FPS", f"{one.spec.detect_fps:g}"),
        ("PRIORITY", str(one.spec.priority)),
        ("CLASSES", ", ".join(one.spec.classes) or "all"),
        ("LABELS", ", ".join(f"{key}={value}" for key, value in one.spec.labels.items()) or "none"),
        ("RULES", ", ".join(f"{rule.rule_id} ({rule.WhichOneof('kind')})" for rule in one.spec.rules)
         or "none"),
        ("MASKS", str(len(one.spec.privacy_masks)) if one.spec.privacy_masks else "none"),
        ("SNAPSHOTS", _snapshots(one.spec.event_snapshots)),
    ]  # fmt: skip
    for name, value in rows:
        click.echo(f"{name.lower():<11} {value}".rstrip())


def _row(one: streams_pb2.Stream) -> tuple[str, ...]:
    status = one.status
    reason = streams_pb2.StreamStatus.Reason.Name(status.reason) if status.reason else ""
    why = [part for part in (reason, status.detail) if part]
    return (
        one.spec.stream_id,
        state(streams_pb2.StreamStatus.State.Name(status.state)),
        age(status.since.ToMicroseconds() / 1e6),
        f"{status.analysed_fps:.1f}",
        str(status.run),
        one.spec.source.uri,
        "; ".join(part for part in (": ".join(why), _next_try(status)) if part),
    )


def _next_try(status: streams_pb2.StreamStatus) -> str:
    if not status.HasField("next_retry"):
        return ""
    return f"tried again {until(status.next_retry.ToMicroseconds() / 1e6)}"

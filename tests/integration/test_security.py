"""A service among hostile clients, cameras and neighbours: what it refuses, and what it never tells."""

import base64
import contextlib
import itertools
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from tests.support.collector import GrpcCollector, attributes_of
from tests.support.errors import refusal
from tests.support.http_camera import HttpServer, mjpeg_camera, refusing_camera
from tests.support.processes import children
from tests.support.site import MARKER, Status, spec_of
from tests.support.waiting import until
from vigil.data import StreamState
from vigil.store.database import FILE_NAME
from vigil.v1 import events_pb2, streams_pb2

pytestmark = pytest.mark.timeout(120)
DENIED = "127.6.6.6"  # of the loopback, so that a listener can be there
CANARY = "c@n/ary:%41 ß✓?#\"'Kanarie"
USER = "operator"
MOST = 12  # streams that the service registers

HOSTILE = [
    *("", "/etc/passwd", "camera.example/live", "file:///etc/passwd", "FILE:///etc/shadow"),
    *("file://localhost/etc/passwd", "file://host/etc/passwd", "file:etc/passwd", "file://"),
    *("folder:///etc", "folder:///", "file:///proc/self/environ", "file:///dev/video0"),
    *("concat:/etc/passwd", "subfile:,,start,0,end,1,,:/etc/passwd", "data:text/plain,x"),
    *("pipe:0", "fd:3", "tcp://camera.example:1", "udp://239.0.0.1:1234", "rtp://239.0.0.1:5004"),
    *("rtmp://camera.example/x", "ftp://camera.example/x", "gopher://camera.example/1"),
    *("sdp:/etc/x", "hls+http://camera.example/x", "crypto:/etc/passwd", "cache:/etc/passwd"),
    *("v4l2:///dev/video0", "lavfi:testsrc", "exec:reboot", "javascript:alert(1)", "push:x"),
    *("http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/x", "http://[fe80::1%25lo]/"),
    *("http://[::ffff:169.254.169.254]/x", "http://[::ffff:a9fe:a9fe]/x", "http://2852039166/x"),
    *("http://0xa9fea9fe/x", "http://0251.0376.0251.0376/x", "http://169.254.43518/x"),
    *("http://[64:ff9b::a9fe:a9fe]/x", "http://[2002:a9fe:a9fe::]/x", "http://[fd00:ec2::254]/"),
    *("http://100.100.100.200/latest", "http://168.63.129.16/x", "http://0.0.0.0/", "http://0/"),
    *("http://127.1/x", "http://2130706433/x", "http://0x7f000001/x", "rtsp://[::]/x"),
    *("rtsp://224.0.0.1/x", "rtsp://255.255.255.255/x", "rtsp://127.0.0.1:0/", "rtsp://h:99999/"),
    *(f"rtsp://{DENIED}/x", f"http://[::ffff:{DENIED}]/x", "rtsp://a b/", "rtsp://cam\\evil/"),
    *("rtsp://camera.example/a\r\nX: y", "rtsp://camera.example/\0", "rtsp://[::1/x", "rtsp://"),
]


@pytest.fixture(scope="module")
def collector() -> Iterator[GrpcCollector]:
    with GrpcCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def guarded(open_site: Callable[..., Any], collector: GrpcCollector) -> Iterator[Any]:
    with open_site(
        VIGIL_TRACES__ENDPOINT=collector.endpoint,
        VIGIL_TRACES__SAMPLE_RATIO="1",
        VIGIL_SOURCES__DENY_NETWORKS=f"{DENIED}/32",
        VIGIL_LOG__LEVEL="debug",
        VIGIL_HOSTS__MAX_REGISTERED=str(MOST),
    ) as site:
        yield site


class Redirecting(BaseHTTPRequestHandler):
    """Sends everybody elsewhere."""

    to = ""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.to)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


@pytest.mark.parametrize("uri", HOSTILE)
def test_a_hostile_source_is_refused_where_it_is_asked_for(guarded: Any, uri: str) -> None:
    request = streams_pb2.AddStreamRequest(spec=spec_of("hostile", uri))
    code, _, fields = refusal(lambda: guarded.streams.AddStream(request, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "spec.source.uri" in fields
    code, _, _ = refusal(lambda: guarded.get("hostile"))
    assert code is grpc.StatusCode.NOT_FOUND


def test_the_list_of_hostile_sources_is_long() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


def test_a_redirect_out_of_policy_is_a_state_and_no_packet(guarded: Any) -> None:
    arrived = threading.Event()

    class Secret(BaseHTTPRequestHandler):
        def handle(self) -> None:
            arrived.set()

    with HttpServer(Secret, host=DENIED) as secret:
        handler = type("Elsewhere", (Redirecting,), {"to": f"{secret.url}/latest"})
        with HttpServer(handler) as camera:
            guarded.add("moved", f"{camera.url}/video")
            status = guarded.wait_offline("moved").status
    assert status.reason == Status.REFUSED_BY_POLICY
    assert "sources.deny_networks" in status.detail
    assert not arrived.is_set()
    guarded.remove("moved")


def test_a_link_that_turns_is_a_state(guarded: Any, clips: Any) -> None:
    clip = clips.root / "turning.mp4"
    clip.write_bytes(clips.short.read_bytes())
    guarded.add("turning", clip.as_uri(), source_loop=True, rules=[MARKER])
    guarded.wait_online("turning")
    clip.unlink()
    clip.symlink_to("/etc/passwd")
    status = guarded.wait_offline("turning").status
    assert status.reason == Status.REFUSED_BY_POLICY
    guarded.remove("turning")
    clip.unlink()


def leaks(text: str) -> list[str]:
    """The spellings of the canary, or of a part that no other text holds, which a text shows."""
    pair = base64.b64encode(f"{USER}:{CANARY}".encode()).decode()
    wanted = [CANARY, "Kanarie", "n/ary", "%2Fary", quote(CANARY), json.dumps(CANARY)[1:-1], pair]
    return [spelling for spelling in wanted if spelling in text]


def process_texts(pid: int) -> str:
    """Command lines and environments of a process and its children."""
    found = ""
    for each in (pid, *children(pid)):
        for name in ("cmdline", "environ", "comm"):
            found += Path(f"/proc/{each}/{name}").read_text(errors="replace")
    return found


def test_a_password_is_seen_nowhere(guarded: Any, collector: GrpcCollector) -> None:
    """A camera that is watched, one that refuses, one that is away; errors of every kind about them."""
    told: list[str] = []
    login = {"username": USER, "password": CANARY}
    credentials = streams_pb2.Credentials(**login)

    def add(stream_id: str, uri: str, **more: Any) -> None:
        told.append(str(guarded.add(stream_id, uri, source_credentials=credentials, **more)))

    def refused(request: Any, method: Any) -> None:
        code, message, fields = refusal(lambda: method(request, timeout=10))
        told.append(f"{code} {message} {fields}")

    with mjpeg_camera() as camera, refusing_camera(401) as locked:
        add("watched", f"{camera.url}/video", rules=[MARKER])
        add("locked", f"{locked.url}/x")
        add("away", "rtsp://127.0.0.1:1/live")
        in_uri = f"rtsp://{USER}:{quote(CANARY, safe='')}@127.0.0.1:1/live"
        told.append(str(guarded.add("in-uri", in_uri)))
        for uri in (f"rtsp://{USER}:{CANARY}@127.0.0.1:1/x", f"rtsp://h/{CANARY}", CANARY):
            spec = spec_of("wrong", uri, source_credentials=credentials)
            refused(streams_pb2.AddStreamRequest(spec=spec), guarded.streams.AddStream)
        other = spec_of("watched", "rtsp://127.0.0.1:1/x", source_credentials=credentials)
        refused(streams_pb2.AddStreamRequest(spec=other), guarded.streams.AddStream)
        other.source.uri = "file:///etc/passwd"
        update = streams_pb2.UpdateStreamRequest(spec=other, generation=99)
        refused(update, guarded.streams.UpdateStream)
        guarded.wait_online("watched")
        told += [str(event) for event in guarded.wait_marks("watched", 3)]
        states = [str(guarded.wait_offline(name)) for name in ("locked", "away", "in-uri")]
        told += [*states, str(guarded.streams.ListStreams(streams_pb2.ListStreamsRequest()))]
        listed = guarded.events.ListEvents(events_pb2.ListEventsRequest(), timeout=10)
        told += [str(listed), guarded.fetch("/metrics"), process_texts(guarded.vigil.pid)]
        told += [guarded.fetch("/console/view"), *(str(entry) for entry in guarded.entries())]
        collector.wait(lambda trace: attributes_of(trace.root)["vigil.stream_id"] == "watched")
        calls = until(lambda: [one for one in collector.spans() if "AddStream" in one.name])
        told += [str(span) for span in (*collector.spans(), *calls)]
    assert guarded.wait_offline("watched")
    assert "AUTH_FAILED" in str(told)
    assert [leak for text in told for leak in leaks(text)] == []
    assert leaks(guarded.log()) == []
    with contextlib.closing(sqlite3.connect(guarded.vigil.state / FILE_NAME)) as database:
        tables = [
            name
            for (name,) in database.execute("select name from sqlite_master where type = 'table'")
        ]
        events = [name for name in tables if name.startswith("event")]
        assert events, tables
        for table in events:
            assert leaks(str(database.execute(f"select * from {table}").fetchall())) == []


def hostile_names(count: int) -> list[str]:
    """Names that a stream, class, type or method may not have, or that nobody has."""
    kinds = ["x{}", "X-{}", "a b{}", "ü{}", 'q"}} {}', "back\\slash{}", "line\n{}", "{}" + "n" * 70]
    return [kinds[index % len(kinds)].format(index) for index in range(count)]


def series(guarded: Any) -> set[str]:
    """Every series that the service shows, but for codes of calls that it answers."""
    lines = guarded.fetch("/metrics").splitlines()
    names = {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}
    return {name for name in names if not name.startswith("grpc_server_")}


def test_ten_thousand_hostile_names_make_no_series(guarded: Any) -> None:
    """As ids of streams, as methods and services, as classes, types, labels and tokens."""
    guarded.remove_all()
    before, names = series(guarded), hostile_names(10_000)

    def spec(name: str) -> streams_pb2.StreamSpec:
        return spec_of(name, "rtsp://127.0.0.1:1/x", enabled=False, labels={name[:60]: name})

    def calls(channel: grpc.Channel) -> Iterator[Any]:
        streams, events = guarded.streams, guarded.events
        for name in names[:1000]:
            yield streams.AddStream.future(
                streams_pb2.AddStreamRequest(spec=spec(name)), timeout=60
            )
        for name in names[1000:2000]:
            yield streams.UpdateStream.future(
                streams_pb2.UpdateStreamRequest(spec=spec(name)), timeout=60
            )
        for name in names[2000:3000]:
            path = f"/vigil.v1.{quote(name[:40], safe='')}/Get"
            yield channel.unary_unary(path).future(b"", timeout=60)
        for start in range(3000, 10_000, 500):
            some = names[start : start + 500]
            listed = events_pb2.EventFilter(stream_ids=some, types=some, classes=some)
            request = events_pb2.ListEventsRequest(filter=listed)
            metadata = [("x-name", quote(name)[:60]) for name in some[:50]]
            yield events.ListEvents.future(request, timeout=60, metadata=metadata)

    with grpc.insecure_channel(guarded.vigil.addresses.grpc) as channel:
        made, codes = calls(channel), set()
        while wave := list(itertools.islice(made, 100)):
            codes |= {call.code() for call in wave}
    assert codes <= {
        *(grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND),
        *(grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
    }
    listed = guarded.streams.ListStreams(streams_pb2.ListStreamsRequest(), timeout=10).streams
    assert len(listed) == MOST, "names that are allowed are bounded by number"
    page = guarded.fetch("/metrics")
    assert page.count("\nvigil_stream_state{") == MOST * len(StreamState)
    assert len({line for line in page.splitlines() if line.startswith("grpc_server_handled")}) < 60
    guarded.remove_all()
    assert series(guarded) == before

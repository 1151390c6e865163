"""Clients that are slow, gone, too many or mad: right codes, bounded memory, and others are served."""

import contextlib
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.support import videos
from tests.support.processes import Holdings, named
from tests.support.site import MARKER, Site
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2, events_pb2

CONNECTIONS = 1000
UNREAD_EVENTS = 400  # more than a watcher is given at once
MORE_BYTES = 30e6  # of the service's memory, with all of it at the same time
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
    [0, 0, 0, 4, 0, 0, 0, 0, 0]
)  # and empty SETTINGS
DEADLINE_S = 60.0


@contextlib.contextmanager
def connections(site: Site, count: int) -> Iterator[None]:
    """So many TCP connections that say as much as HTTP/2 asks for, and no more."""
    host, _, port = site.vigil.addresses.grpc.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), 10.0))
            with contextlib.suppress(ConnectionError):  # those beyond the limit are closed
                connection.sendall(PREFACE)
        yield


def send_junk(site: Site, draw: random.Random) -> None:
    host, _, port = site.vigil.addresses.grpc.rpartition(":")
    for start in (b"", PREFACE, b"GET / HTTP/1.1\r\n\r\n"):
        with (
            socket.create_connection((host, int(port)), 10.0) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(start + draw.randbytes(20_000))


def code_of(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    code: grpc.StatusCode = caught.value.code()
    return code


@pytest.mark.slow
@pytest.mark.planted(
    "vigil.api.calls:_read = lambda handler, request: handler.request_deserializer(request)",
    caught="no message is INVALID_ARGUMENT",
)
@pytest.mark.timeout(300)
def test_hostile_clients_get_right_codes_and_hold_nobody_up(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    with open_site(VIGIL_GRPC__MAX_MESSAGE_BYTES=str(4 * 2**20)) as site:
        site.add("busy", clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=25)
        site.wait_marks("busy", 5)
        service = site.vigil.pid
        before = Holdings.of(service)

        # a watcher that reads one event, then nothing for hundreds
        request = events_pb2.WatchEventsRequest()
        watch = site.events.WatchEvents(request, timeout=300)
        first = next(watch)
        with connections(site, CONNECTIONS):
            during = Holdings.of(service)
            site.wait_marks("busy", 10, timeout_s=DEADLINE_S)
        draw = random.Random(5)
        for _ in range(20):
            send_junk(site, draw)

        # codes
        (engine,) = named(service, "vigil.engine")
        picture = analysis_pb2.DetectImageRequest(image=videos.jpeg())
        os.kill(engine, signal.SIGSTOP)
        try:
            late = code_of(lambda: site.analysis.DetectImage(picture, timeout=0.5))
            call = site.analysis.DetectImage.future(picture)
            call.cancel()
            assert call.code() is grpc.StatusCode.CANCELLED
        finally:
            os.kill(engine, signal.SIGCONT)
        assert late is grpc.StatusCode.DEADLINE_EXCEEDED
        large = analysis_pb2.DetectImageRequest(image=bytes(5 * 2**20))
        assert (
            code_of(lambda: site.analysis.DetectImage(large, timeout=30))
            is grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        raw = grpc.insecure_channel(site.vigil.addresses.grpc)
        with contextlib.closing(raw):
            add = raw.unary_unary("/vigil.v1.StreamService/AddStream")
            code = code_of(lambda: add(b"\xff\xff\xff\xff", timeout=30))
        assert code is grpc.StatusCode.INVALID_ARGUMENT, "what is no message is INVALID_ARGUMENT"

        # nobody else noticed, and nothing was kept
        until(
            lambda: site.scrape().total("vigil_events_total") > UNREAD_EVENTS,
            timeout_s=DEADLINE_S,
            what="events that the watcher has not read",
        )
        numbers = [first.event.event_seq, *(next(watch).event.event_seq for _ in range(300))]
        assert numbers == list(range(numbers[0], numbers[0] + 301)), "the slow watcher missed some"
        watch.cancel()
        until(
            lambda: Holdings.of(service).descriptors <= before.descriptors + 8,
            timeout_s=DEADLINE_S,
            what=f"descriptors of before, {before}",
        )
        more_bytes = Holdings.of(service).rss_bytes - before.rss_bytes
        assert more_bytes < MORE_BYTES
        assert site.scrape().accounts()["busy"].balances
        assert site.get("busy").status.reconnects == 0
        assert site.vigil.stop() == 0
        assert "Traceback" not in site.log()
        print(
            f"{CONNECTIONS} connections ({during.descriptors - before.descriptors} held at once), 60"
            f" times junk, a watcher {UNREAD_EVENTS} events behind: memory {more_bytes / 1e6:+.1f} MB,"
            " right codes, the stream not restarted"
        )

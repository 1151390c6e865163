"""What a host reaches, seen from the other side: real listeners that count who came."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_camera import file_server
from tests.support.ports import held_port
from tests.support.videos import Clips
from vigil.data import OfflineReason
from vigil.fleet.networks import NetworkPolicy, networks
from vigil.fleet.policy import SourcePolicy
from vigil.host.access import Access, Refused
from vigil.host.capture import CaptureFailed, CaptureLimits, door_class, open_capture
from vigil.host.environment import set_environment
from vigil.host.http_proxy import HttpProxy
from vigil.host.route import ffmpeg_address, find
from vigil.spec import CaptureBackend, Source

set_environment()  # before the first capture of this process
LIMITS = CaptureLimits(open_timeout_s=10.0, read_timeout_s=10.0)
DENIED = "127.6.6.6"  # of the loopback, so that a listener can be there
NETWORKS = NetworkPolicy(deny_networks=networks([f"{DENIED}/32"]))
Resolve = Callable[[dict[str, list[str]]], None]


def access(*roots: Path, within: NetworkPolicy = NETWORKS) -> Access:
    return Access(SourcePolicy(file_roots=roots, networks=within))


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Names that this process resolves to addresses of the test's choice; others are unknown."""
    names: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        found = names.get(host, [host])
        return [one for each in found for one in real(each, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names.update


class Trap:
    """Takes connections and remembers what came; answers with what it is given."""

    def __init__(self, listener: socket.socket, answer: bytes) -> None:
        self.port = listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._listener = listener
        self._answer = answer

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.requests.append(connection.recv(65536))
                    connection.sendall(self._answer)
                except OSError:
                    continue


@contextmanager
def trap(host: str = DENIED, answer: bytes = b"", port: int = 0) -> Iterator[Trap]:
    with socket.create_server((host, port)) as listener:
        made = Trap(listener, answer)
        thread = threading.Thread(target=made.serve)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(scope="module")
def proxy() -> Iterator[HttpProxy]:
    before = {name: os.environ.get(name) for name in ("http_proxy", "no_proxy")}
    with HttpProxy(access(), connect_timeout_s=2.0) as proxy:
        yield proxy
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def reason_of(uri: str, way: Access, door: CaptureBackend = CaptureBackend.OPENCV) -> OfflineReason:
    with pytest.raises(CaptureFailed) as failed:
        open_capture(Source(uri=uri, backend=door), LIMITS, way)
    return failed.value.reason


REFUSED = OfflineReason.REFUSED_BY_POLICY


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_a_name_that_leads_to_a_denied_address_gets_no_packet(
    door: CaptureBackend, resolve: Resolve, proxy: HttpProxy, scheme: str
) -> None:
    with trap() as there:
        resolve({"camera.example": ["127.0.0.1", DENIED]})  # one bad address is enough
        assert reason_of(f"{scheme}://camera.example:{there.port}/live", access(), door) is REFUSED
        assert there.requests == []


@pytest.mark.parametrize("scheme", ["rtsps", "http", "https"])
def test_ffmpeg_has_no_way_around_the_proxy(
    door: CaptureBackend, proxy: HttpProxy, scheme: str
) -> None:
    with trap() as there:
        source = Source(uri=f"{scheme}://{DENIED}:{there.port}/live", backend=door)
        with pytest.raises(CaptureFailed):  # nothing judged it before: FFmpeg goes there by itself
            door_class(source)(source, LIMITS, address=source.uri, connect=access().connect)
        assert there.requests == []


def test_an_http_redirect_out_of_policy_is_not_followed(
    door: CaptureBackend, proxy: HttpProxy
) -> None:
    with trap() as secret:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://{DENIED}:{secret.port}/meta\r\n"
        answer = f"{moved}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        with trap("127.0.0.1", answer) as camera:
            assert reason_of(f"http://127.0.0.1:{camera.port}/video", access(), door) is REFUSED
            assert camera.requests[0].startswith(b"GET /video HTTP/1.1\r\n")
        assert secret.requests == []


def test_an_http_redirect_within_policy_is_followed(
    door: CaptureBackend, proxy: HttpProxy, clips: Clips
) -> None:
    with file_server(clips.root) as files:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {files.url}/{clips.short.name}\r\n"
        answer = f"{moved}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        with trap("127.0.0.1", answer) as camera:
            source = Source(
                uri=f"http://127.0.0.1:{camera.port}/v",
                username="u",
                password="p@/:%",
                backend=door,
            )
            capture = open_capture(source, LIMITS, access())
            assert capture.grab()
            capture.close()


def test_a_playlist_cannot_name_what_is_denied(
    door: CaptureBackend, proxy: HttpProxy, tmp_path: Path
) -> None:
    with trap() as secret, file_server(tmp_path) as files:
        segment = f"http://{DENIED}:{secret.port}/latest.ts"
        (tmp_path / "live.m3u8").write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{segment}\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(CaptureFailed):
            open_capture(Source(uri=f"{files.url}/live.m3u8", backend=door), LIMITS, access())
        assert secret.requests == []


def test_a_playlist_cannot_name_a_file_of_this_machine(
    door: CaptureBackend, proxy: HttpProxy, clips: Clips, tmp_path: Path
) -> None:
    with file_server(tmp_path) as files:
        (tmp_path / "live.m3u8").write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{clips.short.as_uri()}\n"
            "#EXT-X-ENDLIST\n"
        )
        with pytest.raises(CaptureFailed):
            open_capture(Source(uri=f"{files.url}/live.m3u8", backend=door), LIMITS, access())


def rtsp_moved(location: str) -> bytes:
    return f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: {location}\r\n\r\n".encode()


def test_an_rtsp_redirect_out_of_policy_is_not_followed(
    door: CaptureBackend, proxy: HttpProxy
) -> None:
    with trap() as secret:
        answer = rtsp_moved(f"rtsp://{DENIED}:{secret.port}/live")
        with trap("127.0.0.1", answer) as camera:
            assert reason_of(f"rtsp://127.0.0.1:{camera.port}/live", access(), door) is REFUSED
        assert secret.requests == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://127.0.0.1/x", "rtsp://[", "/x y"]
)
def test_an_rtsp_redirect_to_something_else_is_refused(door: CaptureBackend, location: str) -> None:
    with trap("127.0.0.1", rtsp_moved(location)) as camera:
        assert reason_of(f"rtsp://127.0.0.1:{camera.port}/live", access(), door) is REFUSED


def test_credentials_do_not_follow_a_redirect_to_another_place() -> None:
    with ExitStack() as stack:
        other = stack.enter_context(trap("127.0.0.1", b"RTSP/1.0 200 OK\r\n\r\n"))
        moved = rtsp_moved(f"rtsp://127.0.0.1:{other.port}/b")
        camera = stack.enter_context(trap("127.0.0.1", moved))
        source = Source(uri=f"rtsp://127.0.0.1:{camera.port}/a", username="u", password="canary")
        found, address = stack.enter_context(find(source, access(), timeout_s=2.0))
    assert (found.username, found.password) == ("", "")
    assert address == f"rtsp://127.0.0.1:{other.port}/b"


def test_redirects_end() -> None:
    with (
        held_port() as port,
        trap("127.0.0.1", rtsp_moved(f"rtsp://127.0.0.1:{port}/again"), port=port),
        pytest.raises(Refused, match="too often"),
        find(Source(uri=f"rtsp://127.0.0.1:{port}/a"), access(), timeout_s=2.0),
    ):
        pass


def test_an_rtsp_name_is_pinned_to_the_address_that_was_judged(resolve: Resolve) -> None:
    resolve({"camera.example": ["127.0.0.1"]})
    with trap("127.0.0.1", b"RTSP/1.0 200 OK\r\n\r\n") as camera:
        source = Source(
            uri=f"rtsp://camera.example:{camera.port}/a?b=c", username="u", password="p/@"
        )
        with find(source, access(), timeout_s=2.0) as (_, address):
            pass
    assert address == f"rtsp://u:p%2F%40@127.0.0.1:{camera.port}/a?b=c"


def test_an_ipv6_address_is_pinned_in_brackets() -> None:
    source = Source(uri="rtsp://camera.example/x")
    assert ffmpeg_address(source, pinned="2001:db8::1") == "rtsp://[2001:db8::1]/x"


def test_a_link_that_leads_out_is_refused_at_each_opening(
    door: CaptureBackend, clips: Clips, tmp_path: Path
) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    clip = root / "gate.mp4"
    clip.write_bytes(clips.short.read_bytes())
    capture = open_capture(Source(uri=clip.as_uri(), backend=door), LIMITS, access(root))
    assert capture.grab()
    capture.close()
    clip.unlink()
    clip.symlink_to(clips.short)
    assert reason_of(clip.as_uri(), access(root), door) is REFUSED


def test_a_picture_that_is_a_link_leading_out_is_not_read(
    door: CaptureBackend, clips: Clips, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    outside = next(path for path in sorted(clips.pictures.iterdir()) if path.suffix == ".jpg")
    (folder / "0.jpg").symlink_to(outside)
    uri = folder.as_uri().replace("file:", "folder:")
    assert reason_of(uri, access(tmp_path), door) is REFUSED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile '{outside}'\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{outside}\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{outside}\n#EXT-X-ENDLIST\n"),
        ("talk.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_a_file_that_names_other_files_is_not_followed(
    door: CaptureBackend, clips: Clips, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content.format(outside=clips.short))
    assert (
        reason_of((tmp_path / name).as_uri(), access(tmp_path), door) is OfflineReason.UNSUPPORTED
    )


def test_a_pipe_in_a_root_holds_nobody_up(door: CaptureBackend, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert (
        reason_of((tmp_path / "pipe.mp4").as_uri(), access(tmp_path), door)
        is OfflineReason.UNSUPPORTED
    )


def ask_proxy(proxy: HttpProxy, request: str) -> bytes:
    _, _, place = os.environ["http_proxy"].rpartition("/")
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port)), 5) as client:
        client.sendall(request.encode())
        return client.recv(4096)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (f"GET http://{DENIED}:9/x HTTP/1.1", 403),
        (f"CONNECT {DENIED}:443 HTTP/1.1", 403),
        ("CONNECT 2130706433:443 HTTP/1.1", 403),
        ("GET http://169.254.169.254/latest HTTP/1.1", 403),
        ("GET /x HTTP/1.1", 400),
        ("GET ftp://127.0.0.1/x HTTP/1.1", 400),
        ("GET http://127.0.0.1:99999/ HTTP/1.1", 400),
        ("nonsense", 400),
        ("GET http://127.0.0.1:1/x HTTP/1.1", 502),
    ],
)
def test_the_proxy_answers_what_it_does_not_relay(
    proxy: HttpProxy, request_line: str, status: int
) -> None:
    answer = ask_proxy(proxy, f"{request_line}\r\nHost: x\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())

"""Sources that do not open, asked over real sockets of the loopback."""

import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vigil.data import OfflineReason
from vigil.host import diagnose as module
from vigil.host.diagnose import diagnose
from vigil.spec import Source

USER, PASSWORD = "operator", "s3cret:/@ß"
BASIC = 'WWW-Authenticate: Basic realm="camera"'
DIGEST = 'WWW-Authenticate: Digest realm="camera", nonce="abc123", algorithm="MD5"'

Answer = Callable[[str], str]


@contextmanager
def camera(answer: Answer) -> Iterator[int]:
    """Answers each request with what ``answer`` says of it; yields the port."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                head = b""
                while chunk := _chunk(connection):
                    head += chunk
                    if b"\r\n\r\n" in head:
                        connection.sendall(answer(head.decode()).encode())
                        head = b""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _chunk(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""


def rtsp(status: str, *headers: str) -> str:
    return "\r\n".join([f"RTSP/1.0 {status}", "CSeq: 1", *headers, "", ""])


def http(status: str, *headers: str) -> str:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""])


def ask(uri: str, *, username: str = "", password: str = "", took_s: float = 0.0) -> tuple:
    source = Source(uri=uri, username=username, password=password)
    return diagnose(source, took_s=took_s, timeout_s=5.0)


def test_what_refuses_is_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        reason, detail = ask(f"rtsp://127.0.0.1:{bound.getsockname()[1]}/live")
    assert reason is OfflineReason.UNREACHABLE
    assert "refuses connections" in detail


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_what_is_silent_is_unreachable(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(module, "PROBE_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reason, detail = ask(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live")
    assert reason is OfflineReason.UNREACHABLE
    assert "does not answer" in detail


def test_a_name_that_nobody_knows_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    reason, detail = ask("rtsp://camera.invalid/live")
    assert reason is OfflineReason.UNREACHABLE
    assert "camera.invalid is not known" in detail


def test_what_speaks_another_language_is_unreachable() -> None:
    with camera(lambda _: "220 smtp.example ESMTP\r\n\r\n") as port:
        reason, detail = ask(f"rtsp://127.0.0.1:{port}/live")[:2]
    assert reason is OfflineReason.UNREACHABLE
    assert detail == f"127.0.0.1:{port} answers, but not in RTSP"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_what_wants_a_password_says_so(status: str) -> None:
    with camera(lambda _: rtsp(status, BASIC)) as port:
        reason, detail = ask(f"rtsp://127.0.0.1:{port}/live")
    assert reason is OfflineReason.AUTH_FAILED
    assert "password" in detail
    with camera(lambda _: http(status, BASIC)) as port:
        assert ask(f"http://127.0.0.1:{port}/live")[0] is OfflineReason.AUTH_FAILED


def test_a_wrong_password_is_told_from_a_right_one_with_basic() -> None:
    seen: list[str] = []

    def answer(request: str) -> str:
        seen.append(request)
        right = "Basic b3BlcmF0b3I6czNjcmV0Oi9Aw58=" in request
        return rtsp("200 OK") if right else rtsp("401 Unauthorized", BASIC)

    with camera(answer) as port:
        uri = f"rtsp://127.0.0.1:{port}/live"
        assert ask(uri, username=USER, password=PASSWORD)[0] is OfflineReason.UNSUPPORTED
        assert ask(uri, username=USER, password="wrong")[0] is OfflineReason.AUTH_FAILED
    assert "Authorization" not in seen[0], "nothing is sent before it is asked for"


def test_a_wrong_password_is_told_from_a_right_one_with_digest() -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    def answer(request: str) -> str:
        given = dict(re.findall(r'(\w+)="([^"]*)"', request))
        method = request.split()[0]
        secret, asked = md5(f"{USER}:camera:{PASSWORD}"), md5(f"{method}:{given.get('uri')}")
        wanted = md5(f"{secret}:abc123:{asked}")
        return rtsp("200 OK") if given.get("response") == wanted else rtsp("401 No", DIGEST)

    with camera(answer) as port:
        uri = f"rtsp://127.0.0.1:{port}/live?channel=2"
        assert ask(uri, username=USER, password=PASSWORD)[0] is OfflineReason.UNSUPPORTED
        assert ask(uri, username=USER, password="wrong")[0] is OfflineReason.AUTH_FAILED


@pytest.mark.parametrize("write", [rtsp, http])
def test_a_path_that_is_not_there_is_no_video(write: Callable[..., str]) -> None:
    scheme = write.__name__
    with camera(lambda _: write("404 Not Found")) as port:
        reason, detail = ask(f"{scheme}://127.0.0.1:{port}/dead")
    assert reason is OfflineReason.NO_VIDEO
    assert "404" in detail


def test_a_camera_in_trouble_is_unreachable() -> None:
    with camera(lambda _: rtsp("503 Service Unavailable")) as port:
        reason, detail = ask(f"rtsp://127.0.0.1:{port}/live")
    assert (reason, "503" in detail) == (OfflineReason.UNREACHABLE, True)


def test_what_answers_and_sends_nothing_is_unreachable() -> None:
    with camera(lambda _: rtsp("200 OK")) as port:
        reason, detail = ask(f"rtsp://127.0.0.1:{port}/live", took_s=5.0)
    assert reason is OfflineReason.UNREACHABLE
    assert "sent no video in 5 s" in detail


def test_no_detail_holds_a_credential() -> None:
    answers = ["401 Unauthorized", "404 Not Found", "500 Oops", "200 OK"]
    for status in answers:
        with camera(lambda _, status=status: rtsp(status, DIGEST)) as port:
            uri = f"rtsp://127.0.0.1:{port}/live"
            _, detail = ask(uri, username=USER, password="canary-77")
            assert "canary" not in detail
            assert USER not in detail
    _, detail = ask("rtsp://127.0.0.1:1/live", username=USER, password="canary-77")
    assert "canary" not in detail


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, OfflineReason.UNREACHABLE),
        (b"", OfflineReason.NO_VIDEO),
        (b"This is no video.", OfflineReason.UNSUPPORTED),
    ],
)
def test_files_are_told_apart(tmp_path: Path, content: bytes | None, reason: OfflineReason) -> None:
    path = tmp_path / "a clip.mp4"
    if content is not None:
        path.write_bytes(content)
    found, detail = ask(path.as_uri())
    assert found is reason
    assert "a clip.mp4" in detail
    assert str(tmp_path) not in detail


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    reason, detail = ask(tmp_path.as_uri())
    assert (reason, "folder:" in detail) == (OfflineReason.UNSUPPORTED, True)

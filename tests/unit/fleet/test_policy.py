from pathlib import Path

import pytest

from vigil.errors import FieldViolation
from vigil.fleet.policy import SourcePolicy
from vigil.spec import Source


def refused(uri: str, *roots: Path) -> list[str]:
    violations = SourcePolicy(file_roots=roots).violations(Source(uri=uri))
    assert all(violation.field == "source.uri" for violation in violations)
    return [violation.description for violation in violations]


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://camera.example/live",
        "RTSP://camera.example:8554/live?channel=1#x",
        "rtsps://192.168.1.20/stream",
        "http://127.0.0.1:8080/mjpeg",
        "https://[2001:db8::1]:443/hls/index.m3u8",
        "rtsp://[::1]/x",
        "rtsp://cam_1/live",
        "rtsp://camera.example./live",
        "rtsp://camera.example/user=admin_password=x_channel=1",
        "push:",
    ],
)
def test_ordinary_sources_are_taken(uri: str) -> None:
    assert refused(uri) == []


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "camera.example/live",
        "/etc/passwd",
        "ftp://camera.example/x",
        "concat:/etc/passwd",
        "subfile:,,start,0,end,1,,:/etc/passwd",
        "udp://239.0.0.1:1234",
        "tcp://camera.example:1",
        "data:text/plain,x",
        "pipe:0",
        "rtmp://camera.example/x",
        "v4l2:///dev/video0",
        "javascript:alert(1)",
        "push://camera.example",
        "push:x",
        "rtsp:",
        "rtsp://",
        "rtsp:///live",
        "rtsp://:554/live",
        "rtsp://camera.example:0/x",
        "rtsp://camera.example:65536/x",
        "rtsp://camera.example:rtsp/x",
        "rtsp://[::1/x",
        "rtsp://[camera.example]/x",
        "rtsp://user:pw@camera.example/x",
        "rtsp://user:pw/x@camera.example/x",
        "rtsp://camera example/x",
        "rtsp://camera.example/a b",
        "rtsp://camera.example/a\nb",
        "rtsp://camera.example/a\0b",
        "rtsp://camera.example\\@evil.example/",
        "rtsp://-camera.example/x",
        "rtsp://camera..example/x",
        "rtsp://cämera.example/x",
        "rtsp://camera.example|x/",
        "rtsp://0.0.0.0/x",
        "rtsp://[::]/x",
        "rtsp://224.0.0.1/x",
        "rtsp://255.255.255.255/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/x",
        "http://[fe80::1%25eth0]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://[::ffff:a9fe:a9fe]/x",
        "http://2852039166/latest",
        "http://0xa9fea9fe/latest",
        "http://0251.0376.0251.0376/latest",
        "http://169.254.43518/latest",
        "http://127.1/x",
        "rtsp://camera.example/" + "x" * 2048,
    ],
)
def test_hostile_sources_are_refused_without_repeating_them(uri: str) -> None:
    descriptions = refused(uri)
    assert descriptions
    if len(uri) > 20:
        assert not any(uri in description for description in descriptions)


def test_files_need_roots(tmp_path: Path) -> None:
    (description,) = refused(f"file://{tmp_path}/a.mp4")
    assert "sources.file_roots" in description
    assert refused(f"file://{tmp_path}/a.mp4", tmp_path) == []
    assert refused(f"folder://{tmp_path}", tmp_path) == []
    assert refused(f"FILE://localhost{tmp_path}/sub/a%20b.mp4", tmp_path) == []


@pytest.mark.parametrize(
    "tail",
    [
        "/../outside.mp4",
        "/sub/../../outside.mp4",
        "/%2e%2e/outside.mp4",
        "/..%2foutside.mp4",
        "/link/outside.mp4",
        "/loop/x",
        "-beside/a.mp4",
        "/a.mp4?x=1",
        "/a.mp4#x",
        "/%00",
        "/%ff",
        "/" + "x" * 300 + "/../../../etc/passwd",
    ],
)
def test_paths_that_leave_the_roots_are_refused(tmp_path: Path, tail: str) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    assert refused(f"file://{root}{tail}", root)


@pytest.mark.parametrize(
    "uri", ["file:a.mp4", "file://host/a.mp4", "file:", "file://", "folder://x"]
)
def test_a_path_is_absolute_and_of_this_machine(tmp_path: Path, uri: str) -> None:
    assert refused(uri, tmp_path, Path("/"))


def test_a_root_may_be_a_link_itself(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    policy = SourcePolicy(file_roots=(link,))
    assert policy.path(f"file://{link}/a.mp4") == real / "a.mp4"
    assert policy.path(f"file://{real}/a.mp4") == real / "a.mp4"


def test_a_link_that_changes_is_refused_when_it_is_followed_again(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    policy, uri = SourcePolicy(file_roots=(root,)), f"file://{root}/a.mp4"
    assert policy.path(uri) == root / "a.mp4"
    (root / "a.mp4").symlink_to("/etc/passwd")
    with pytest.raises(FieldViolation):
        policy.path(uri)


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (Source(uri="push:", username="a"), "source.credentials"),
        (Source(uri="rtsp://c/", username="a\r\nX: y"), "source.credentials.username"),
        (Source(uri="rtsp://c/", username="a", password="p" * 257), "source.credentials.password"),
    ],
)
def test_credentials_are_for_network_sources_and_plain_text(source: Source, field: str) -> None:
    assert [one.field for one in SourcePolicy().violations(source)] == [field]

"""What the containers are given: secrets, vigil's configuration, Redis' users, a camera, images."""

import asyncio
import hashlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support import rtsp
from tests.support.ports import held_port
from tests.support.waiting import until
from vigil.config import load
from vigil.events.embedded import find_server
from vigil.events.redis_link import Entry, connected
from vigil.events.settings import EventSettings

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of deploy/ with secrets made."""
    unwanted = shutil.ignore_patterns("secrets")
    folder = shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=unwanted)
    subprocess.run([folder / "make_secrets"], check=True, capture_output=True, timeout=30)
    return folder


@pytest.fixture
def port() -> Iterator[int]:
    with held_port() as held:
        yield held


def password_of(folder: Path) -> str:
    found = re.search(r"redis://vigil:(\w+)@", (folder / "secrets" / "vigil.toml").read_text())
    assert found is not None
    return found[1]


def test_secrets_are_made_once_and_lie_in_a_folder_of_their_own(folder: Path) -> None:
    secrets = folder / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert len(password_of(folder)) == 48
    texts = [path.read_text() for path in secrets.iterdir()]
    assert not any("@PASSWORD@" in text for text in texts)
    again = subprocess.run([folder / "make_secrets"], check=False, capture_output=True, timeout=30)
    assert again.returncode == 1
    assert sorted(texts) == sorted(path.read_text() for path in secrets.iterdir())


def test_every_secret_of_the_composition_is_made(folder: Path) -> None:
    named = set(re.findall(r"file: secrets/([\w.]+)", (folder / "compose.yaml").read_text()))
    assert named == {path.name for path in (folder / "secrets").iterdir()}


def test_vigil_takes_its_configuration(folder: Path) -> None:
    config = load(folder / "secrets" / "vigil.toml", {})
    assert config.redis.url == f"redis://vigil:{password_of(folder)}@redis:6379/0"
    assert config.state.path == "/var/lib/vigil"


@pytest.mark.parametrize(
    ("file", "allowed"),
    [
        ("compose.yaml", ['"127.0.0.1:3000:3000"']),
        ("compose.gpu.yaml", []),
        ("compose.tls.yaml", ['"50051:50051"']),
        ("compose.traces.yaml", []),
    ],
)
def test_only_what_wants_a_login_is_published(file: str, allowed: list[str]) -> None:
    text = (DEPLOY / file).read_text()
    assert re.findall(r"^ +ports: \[(.*?)\]", text, re.MULTILINE) == allowed
    assert text.count("ports:") == len(allowed)


def test_vigil_takes_the_settings_of_tls(folder: Path) -> None:
    text = (folder / "compose.tls.yaml").read_text()
    environment = dict(re.findall(r"^ +(VIGIL_\w+__\w+): (\S+)", text, re.MULTILINE))
    config = load(folder / "secrets" / "vigil.toml", environment)
    assert config.grpc.address == "0.0.0.0:50051"
    assert config.tls.cert
    assert config.http.address == "127.0.0.1:9464"


def test_vigil_takes_the_settings_of_traces(folder: Path) -> None:
    text = (folder / "compose.traces.yaml").read_text()
    environment = dict(re.findall(r'^ +(VIGIL_\w+__\w+): "?([^"\s]+)', text, re.MULTILINE))
    config = load(folder / "secrets" / "vigil.toml", environment)
    assert (config.traces.endpoint, config.traces.sample_ratio) == ("http://jaeger:4317", 0.01)


def test_dashboards_name_the_data_source_that_is_provisioned() -> None:
    provisioned = (DEPLOY / "grafana/provisioning/datasources/vigil.yml").read_text()
    uid = re.search(r"uid: ([\w-]+)", provisioned)
    assert uid is not None
    for dashboard in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        sources = re.findall(r'"type": "prometheus",\s+"uid": "([\w-]+)"', dashboard.read_text())
        assert set(sources) == {uid[1]}, dashboard.name


@pytest.fixture
def redis_port(folder: Path, port: int) -> Iterator[int]:
    """Redis as compose.yaml starts it, but for the folder and the port."""
    guide = (DEPLOY.parent / "docs" / "deploying.md").read_text()
    consumer = re.search(r"`(user vms on >PASSWORD .*?)`", guide)
    assert consumer is not None
    with (folder / "secrets" / "redis_users.acl").open("a") as users:
        users.write(consumer[1] + "\n")
    data = folder.parent / "redis"
    data.mkdir()
    command = [
        *(str(find_server()), str(folder / "redis" / "redis.conf"), "--dir", str(data)),
        *("--aclfile", str(folder / "secrets" / "redis_users.acl"), "--port", str(port)),
    ]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    health = redis.Redis(port=port, username="health", password="x")  # as the health check does

    def answers() -> bool:
        assert process.poll() is None, (data / "log").read_text()
        try:
            return bool(health.ping())
        except redis.ConnectionError:
            return False

    try:
        until(answers, what="Redis")
        yield port
    finally:
        health.close()
        process.terminate()
        process.wait(10)


def test_vigils_user_may_do_what_vigil_does_and_no_more(folder: Path, redis_port: int) -> None:
    password = password_of(folder)
    url = f"redis://vigil:{password}@127.0.0.1:{redis_port}/0"

    async def publish() -> tuple[str, ...]:
        async with connected(url, settings=EventSettings(), producer="p") as link:
            await link.add([Entry("e1", "marker", "gate", b"{}")])
            await link.ping()
            now_ms = int(time.time() * 1000)
            await link.trim(older_than_ms=now_ms - 3_600_000, max_bytes=1 << 30)
            assert link.server.scripts
            return link.server.risks

    assert asyncio.run(publish()) == ()
    with redis.Redis(port=redis_port, username="vigil", password=password) as client:
        assert client.xlen("vigil:events") == 1
        for command in (
            *(["XADD", "other", "*", "a", "b"], ["DEL", "vigil:events"], ["FLUSHALL"]),
            *(["CONFIG", "GET", "*"], ["ACL", "LIST"], ["KEYS", "*"], ["SUBSCRIBE", "x"]),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
    with redis.Redis(port=redis_port) as nobody, pytest.raises(redis.exceptions.RedisError):
        nobody.ping()


def test_the_guides_consumer_may_read_events_and_no_more(redis_port: int) -> None:
    with redis.Redis(port=redis_port, username="vms", password="PASSWORD") as client:
        client.xgroup_create("vigil:events", "wall", id="0", mkstream=True)
        assert client.xreadgroup("wall", "one", {"vigil:events": ">"}) in ([], {})
        assert client.xack("vigil:events", "wall", "1-1") == 0
        for command in (
            *(["XADD", "vigil:events", "*", "a", "b"], ["XTRIM", "vigil:events", "MAXLEN", "0"]),
            ["XREAD", "STREAMS", "other", "0"],
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def rtsp_answer(port: int, *, headers: str = "") -> str:
    request = f"DESCRIBE rtsp://127.0.0.1:{port}/live RTSP/1.0\r\nCSeq: 1\r\n{headers}\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request.encode())
        return connection.recv(8192).decode()


@pytest.mark.rtsp
@pytest.mark.skipif(bool(rtsp.why_not()), reason=rtsp.why_not())
def test_the_simulated_camera_wants_its_password(folder: Path, port: int) -> None:
    secret = folder / "secrets" / "camera_password"
    script = folder / "camera" / "camera.py"
    process = subprocess.Popen(
        ["/usr/bin/python3", script, "127.0.0.1", str(port), secret], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"rtsp://viewer@127.0.0.1:{port}/live\n".encode()
        refused = rtsp_answer(port)
        assert refused.startswith("RTSP/1.0 401")
        realm, nonce = (re.findall(rf'{name}="([^"]+)"', refused)[0] for name in ("realm", "nonce"))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        uri = f"rtsp://127.0.0.1:{port}/live"
        user = md5(f"viewer:{realm}:{secret.read_text()}")
        response = md5(f"{user}:{nonce}:{md5(f'DESCRIBE:{uri}')}")
        login = (
            f'Authorization: Digest username="viewer", realm="{realm}", nonce="{nonce}",'
            f' uri="{uri}", response="{response}"\r\n'
        )
        assert rtsp_answer(port, headers=login).startswith("RTSP/1.0 200")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()

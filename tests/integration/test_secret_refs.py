"""Passwords that streams only name: a camera that wants one, through a running service."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.errors import refusal
from tests.support.http_camera import LockedCamera
from tests.support.processes import children, named
from tests.support.site import MARKER, Status, spec_of
from tests.unit.host.test_confinement import needs_landlock
from vigil.v1 import streams_pb2 as pb

pytestmark = pytest.mark.timeout(120)
USER = "op@r"
HOSTILE = ["c@n/ary:%41 ß✓?#\\\"'Kanarie", "@@//::%%", "pässwörd ✓", " Kanarie ", "Kanarie%2F#?&="]
CANARY = HOSTILE[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def named_site(open_site: Callable[..., Any], folder: Path) -> Iterator[Any]:
    settings = {f"CAMERA_{index}": password for index, password in enumerate(HOSTILE)}
    with open_site(
        VIGIL_SECRETS__ENV="CAMERA_*",
        VIGIL_SECRETS__FILE_ROOTS=str(folder),
        VIGIL_LOG__LEVEL="debug",
        VIGIL_LOG__FORMAT="json",
        **settings,
    ) as site:
        yield site


def login(reference: str) -> pb.Credentials:
    return pb.Credentials(username=USER, secret_ref=reference)


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_a_camera_is_opened_with_a_hostile_password_by_both_ways(
    named_site: Any, folder: Path, index: int
) -> None:
    (folder / f"camera-{index}").write_text(HOSTILE[index] + "\n")
    with LockedCamera((USER, HOSTILE[index])) as camera:
        for name, reference in (
            ("by-env", f"env:CAMERA_{index}"),
            ("by-file", f"file:{folder}/camera-{index}"),
        ):
            shown = named_site.add(name, f"{camera.url}/video", source_credentials=login(reference))
            assert shown.spec.source.has_credentials
            assert not shown.spec.source.HasField("credentials")
            named_site.wait_online(name)
    named_site.remove_all()


def test_a_changed_password_is_used_at_the_next_opening(named_site: Any, folder: Path) -> None:
    secret = folder / "rotated"
    camera = LockedCamera((USER, "first-password"))
    secret.write_text("first-password")
    with camera:
        named_site.add(
            "gate",
            f"{camera.url}/video",
            source_credentials=login(f"file:{secret}"),
            rules=[MARKER],
        )
        named_site.wait_online("gate")
        secret.write_text("second-password")
        camera.change_login((USER, "second-password"))
        named_site.wait(
            "gate",
            lambda s: s.status.state == Status.ONLINE and s.status.reconnects,
            timeout_s=30,
        )
    named_site.remove("gate")


def test_a_reference_to_nothing_is_a_state_that_says_so(named_site: Any, folder: Path) -> None:
    for name, reference in (("env", "env:CAMERA_NONE"), ("file", f"file:{folder}/none")):
        named_site.add(name, "rtsp://127.0.0.1:1/live", source_credentials=login(reference))
        status = named_site.wait_offline(name).status
        assert status.reason == Status.AUTH_FAILED
        assert reference in status.detail
    named_site.remove("env", "file")


@pytest.mark.parametrize(
    "credentials",
    [
        *(login("env:VIGIL_REDIS__URL"), login("file:/etc/shadow"), login("nonsense")),
        pb.Credentials(secret_ref="env:CAMERA_0"),
        pb.Credentials(username=USER, password="x", secret_ref="env:CAMERA_0"),
    ],
)
def test_what_may_not_be_named_is_refused(named_site: Any, credentials: pb.Credentials) -> None:
    spec = spec_of("hostile", "rtsp://127.0.0.1:1/x", source_credentials=credentials)
    request = pb.AddStreamRequest(spec=spec)
    code, _, fields = refusal(lambda: named_site.streams.AddStream(request, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert any(field.startswith("spec.source.credentials") for field in fields)


def test_no_child_has_a_password_or_a_privilege(named_site: Any) -> None:
    """Not in what it was started with; the log and the answers are searched beside it."""
    with LockedCamera((USER, CANARY)) as camera:
        named_site.add("gate", f"{camera.url}/x", source_credentials=login("env:CAMERA_0"))
        named_site.wait_online("gate")
        told = str(named_site.get("gate")) + named_site.fetch("/metrics") + named_site.log()
        for pid, module in children(named_site.vigil.pid).items():
            assert module in ("vigil.host", "vigil.engine")
            told += Path(f"/proc/{pid}/cmdline").read_text()
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert "CAMERA_" not in environment
            assert "VIGIL_" not in environment
            for task in Path(f"/proc/{pid}/task").iterdir():
                status = (task / "status").read_text()
                assert "NoNewPrivs:\t1" in status
                assert "CapEff:\t0000000000000000" in status
        assert "Kanarie" not in told
    named_site.remove("gate")


def test_every_process_logs_json_with_stream_and_run(named_site: Any) -> None:
    with LockedCamera((USER, CANARY)) as camera:
        named_site.add("gone", f"{camera.url}/x", source_credentials=login("env:CAMERA_0"))
        run = named_site.wait_online("gone").status.run
    named_site.wait_offline("gone")
    named_site.remove("gone")
    lines = [json.loads(line) for line in named_site.log().splitlines()]
    assert all({"timestamp", "level", "event"} <= set(line) for line in lines)
    about = [line for line in lines if line.get("stream_id") == "gone" and "run" in line]
    assert [line["event"] for line in about][:2] == ["stream_online", "stream_offline"]
    assert [line["run"] for line in about][:2] == [run, run]
    assert about[1]["reason"] == "unreachable"


@needs_landlock
def test_hosts_say_nothing_of_a_confinement_that_failed(named_site: Any) -> None:
    assert named(named_site.vigil.pid, "vigil.host")
    assert "host_not_confined" not in named_site.log()

"""`vigil doctor` finds what is wrong, each thing by breaking it, and changes nothing."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vigil.cli import main
from vigil.doctor.machine import file_system
from vigil.events.embedded import EmbeddedRedis
from vigil.store.database import FILE_NAME, Database


@pytest.fixture(scope="module")
def redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def environ(tmp_path: Path, redis_server: EmbeddedRedis) -> dict[str, str]:
    """A machine where all is well."""
    state = tmp_path / "state"
    with Database(state):
        pass
    return {
        "VIGIL_STATE__PATH": str(state),
        "VIGIL_REDIS__URL": redis_server.url,
        "VIGIL_MODEL__NAME": "vigil-det-n",
        "VIGIL_GRPC__ADDRESS": "127.0.0.1:0",
        "VIGIL_HTTP__ADDRESS": "127.0.0.1:0",
    }


def run(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=environ).invoke(main, ["doctor", *arguments])


def levels(result: Result) -> dict[str, set[str]]:
    """The levels of each check's findings."""
    found: dict[str, set[str]] = {}
    for finding in json.loads(result.stdout)["findings"]:
        found.setdefault(finding["check"], set()).add(finding["level"])
        assert finding["advice"] or finding["level"] == "ok", finding
    return found


def test_a_sound_machine_has_no_problem(environ: dict[str, str]) -> None:
    result = run(environ)
    assert result.exit_code == 0, result.output
    for check in ("configuration", "access", "state", "redis", "model", "decoder", "ports"):
        assert f"ok       {check}" in result.output
    found = levels(run(environ, "--json"))
    assert {"disk", "clock", "limits", "service"} <= found.keys()
    assert not any("problem" in each for each in found.values())


def test_it_changes_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert run({**environ, "VIGIL_STATE__PATH": str(nowhere)}).exit_code == 0
    assert not nowhere.exists()


def broken_state(environ: dict[str, str]) -> None:
    path = Path(environ["VIGIL_STATE__PATH"]) / FILE_NAME
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)


def newer_state(environ: dict[str, str]) -> None:
    with sqlite3.connect(Path(environ["VIGIL_STATE__PATH"]) / FILE_NAME) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()


def no_redis(environ: dict[str, str]) -> None:
    environ["VIGIL_REDIS__URL"] = "redis://ann:canary@127.0.0.1:1/0"


def damaged_weights(environ: dict[str, str]) -> None:
    folder = Path(environ["VIGIL_STATE__PATH"]).parent / "models"
    (folder / "vigil-det-n").mkdir(parents=True)
    shipped = Path(__file__).parents[3] / "models" / "vigil-det-n"
    (folder / "vigil-det-n" / "model.toml").write_bytes((shipped / "model.toml").read_bytes())
    (folder / "vigil-det-n" / "weights.safetensors").write_bytes(b"others")
    environ["VIGIL_MODEL__FOLDER"] = str(folder)


def unknown_key(environ: dict[str, str]) -> None:
    environ["VIGIL_ENGINE__MAX_BATCHES"] = "4"


def missing_certificate(environ: dict[str, str]) -> None:
    environ |= {"VIGIL_TLS__CERT": "/nowhere/tls.crt", "VIGIL_TLS__KEY": "/nowhere/tls.key"}


def no_place_for_state(environ: dict[str, str]) -> None:
    file = Path(environ["VIGIL_STATE__PATH"]) / "a file"
    file.touch()
    environ["VIGIL_STATE__PATH"] = str(file / "state")


@pytest.mark.parametrize(
    ("breakage", "check", "advice"),
    [
        (broken_state, "state", "vigil backup restore"),
        (newer_state, "state", "install the newer vigil again"),
        (no_redis, "redis", "events wait on disk"),
        (damaged_weights, "model", "from the release"),
        (unknown_key, "configuration", "did you mean 'max_batch'?"),
        (missing_certificate, "access", "cannot be used"),
        (no_place_for_state, "disk", "set state.path"),
    ],
)
def test_what_is_broken_is_a_problem_with_what_to_do(
    environ: dict[str, str], breakage: object, check: str, advice: str
) -> None:
    assert callable(breakage)
    breakage(environ)
    result = run(environ, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    (found,) = [each for each in told["findings"] if each["level"] == "problem"]
    assert found["check"] == check
    assert advice in found["advice"]
    assert "canary" not in result.output


def test_a_port_that_another_program_has_is_a_problem(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        environ["VIGIL_GRPC__ADDRESS"] = f"127.0.0.1:{other.getsockname()[1]}"
        assert levels(run(environ, "--json"))["ports"] == {"problem", "ok"}
        with Database(Path(environ["VIGIL_STATE__PATH"])):  # but not the port of our own service
            assert levels(run(environ, "--json"))["ports"] == {"ok"}


def test_settings_of_redis_that_may_lose_events_are_warnings(environ: dict[str, str]) -> None:
    with EmbeddedRedis(options={"maxmemory-policy": "allkeys-lru", "appendonly": "no"}) as server:
        environ["VIGIL_REDIS__URL"] = server.url
        result = run(environ)
    assert result.exit_code == 0
    assert "-> set maxmemory-policy noeviction" in result.output
    assert "-> set appendonly yes" in result.output


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/mnt/cameras/state", "nfs4"),
        ("/mnt/a b", "tmpfs"),
        ("/mnt/camerasx", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(
    tmp_path: Path, path: str, kind: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nnas:/x /mnt/cameras nfs4 rw 0 0\ntmpfs /mnt/a\\040b tmpfs rw 0 0\n"
    )
    assert file_system(Path(path), mounts) == kind

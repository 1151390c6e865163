"""`vigil serve` beyond loopback: refused without a login, then used with TLS and tokens by the commands."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.support.waiting import until
from vigil.app import ADDRESSES_FILE, Addresses

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed"),
]
VIGIL = (sys.executable, "-m", "vigil.cli")


@pytest.fixture
def environment(tmp_path: Path, models: Path) -> dict[str, str]:
    """A networked service's configuration, in the environment."""
    cert, key = signed(tmp_path, "cert")
    return {
        **os.environ,
        "VIGIL_STATE__PATH": str(tmp_path / "state"),
        "VIGIL_REDIS__URL": "redis://127.0.0.1:1/0",  # nobody there: the service goes on
        "VIGIL_MODEL__FOLDER": str(models),
        "VIGIL_MODEL__NAME": "grid",
        "VIGIL_ENGINE__THREADS": "1",
        "VIGIL_GRPC__ADDRESS": "0.0.0.0:0",
        "VIGIL_HTTP__ADDRESS": "0.0.0.0:0",
        "VIGIL_TLS__CERT": str(cert),
        "VIGIL_TLS__KEY": str(key),
    }


def signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=vigil", "-keyout", str(key)),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def run(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VIGIL, *words], env=environ, capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def serving(environ: dict[str, str], log: Path) -> Iterator[str]:
    """A running service; yields the address of its gRPC server on this machine."""
    announced = Path(environ["VIGIL_STATE__PATH"]) / ADDRESSES_FILE
    with log.open("wb") as file:
        process = subprocess.Popen([*VIGIL, "serve"], env=environ, stderr=file)
        try:
            until(lambda: announced.exists() or process.poll() is not None, timeout_s=60)
            assert process.poll() is None, log.read_text()
            addresses = msgspec.json.decode(announced.read_bytes(), type=Addresses)
            yield f"localhost:{addresses.grpc.rpartition(':')[2]}"
        finally:
            process.terminate()
            process.wait(30)


def test_a_networked_service_is_for_those_who_have_a_token(
    environment: dict[str, str], tmp_path: Path
) -> None:
    refused = run(environment, "serve")
    assert refused.returncode == 1
    assert "needs an authentication method" in refused.stderr
    chief = run(environment, "token", "add", "chief", "--role", "admin").stdout.strip()
    tenant = run(
        environment, "token", "add", "a", "--role", "admin", "--prefix", "a-"
    ).stdout.strip()
    listed = run(environment, "token", "list", "--json").stdout
    assert "chief" in listed
    assert chief not in listed
    log = tmp_path / "vigil.log"
    with serving(environment, log) as address:
        plain = {**os.environ, "VIGIL_GRPC__ADDRESS": address}
        known = {**plain, "VIGIL_CA": environment["VIGIL_TLS__CERT"]}
        in_the_clear = run(plain, "stream", "list")
        assert (in_the_clear.returncode, "set VIGIL_CA" in in_the_clear.stderr) == (1, True)
        other, _ = signed(tmp_path, "other")
        stranger = run({**plain, "VIGIL_CA": str(other)}, "stream", "list")
        assert stranger.stderr.splitlines()[-1].startswith("Error: no TLS with ")
        assert "self signed certificate" in stranger.stderr
        nobody = run(known, "stream", "list")
        assert (nobody.returncode, "asks for a token" in nobody.stderr) == (1, True)
        added = run(
            {**known, "VIGIL_TOKEN": tenant},
            "stream",
            "add",
            "a-gate",
            "rtsp://192.0.2.1/",
            "--disabled",
        )
        assert added.returncode == 0, added.stderr
        foreign = run(
            {**known, "VIGIL_TOKEN": tenant}, "stream", "add", "b-gate", "rtsp://192.0.2.1/"
        )
        assert "begin with a-..." in foreign.stderr
        loop = run({**known, "VIGIL_TOKEN": chief}, "stream", "add", "b-gate", "rtsp://127.0.0.1/")
        assert "the service's own machine is not allowed" in loop.stderr
        seen = run({**known, "VIGIL_TOKEN": chief}, "stream", "list")
        assert (seen.returncode, "a-gate" in seen.stdout) == (0, True)
        assert ".cc:" not in log.read_text(), "gRPC's core writes past our log"
        run(environment, "token", "revoke", "chief")
        assert run({**known, "VIGIL_TOKEN": chief}, "stream", "list").returncode == 1
    assert chief not in log.read_text()
    assert tenant not in log.read_text()

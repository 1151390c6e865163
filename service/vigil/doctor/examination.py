"""All checks, in the order in which one would ask."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vigil.config import load
from vigil.doctor import machine, parts
from vigil.doctor.finding import Finding, ok, problem
from vigil.errors import InvalidConfig, VigilError


def examine(path: Path | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Findings as they are made; ends at once where there is no configuration to go by."""
    try:
        config = load(path, environ)
    except InvalidConfig as error:
        yield problem("configuration", "it cannot be used", str(error))
        return
    yield ok("configuration", str(path) if path else "defaults and the environment")
    condition = parts.look_at_state(config)
    running = not isinstance(condition, VigilError) and condition.in_use
    yield from parts.check_access(config)
    yield from parts.check_sources(config)
    yield from parts.check_state(condition, config)
    yield from machine.check_disk(config)
    yield from parts.check_redis(config)
    yield from parts.check_model(config)
    yield from parts.check_decoder()
    yield from machine.check_ports(config, running=running)
    yield from machine.check_clock()
    yield from machine.check_limits(config)
    yield from parts.check_service(config, running=running)

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.unit.api.conftest import (  # noqa: F401 - fixtures
    open_site,
    outbox,
    pictures,
    site,
    videos,
)
from tests.unit.api.loopback import Site
from vigil.cli import main

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(site: Site) -> Run:  # noqa: F811
    """Runs a command of `vigil` against the loopback server."""

    async def run_it(*arguments: str, **environ: str) -> Result:
        env: dict[str, Any] = {"VIGIL_GRPC__ADDRESS": site.server.address, **environ}
        return await asyncio.to_thread(CliRunner(env=env).invoke, main, arguments)

    return run_it

"""The link to Redis where a server is at hand, and what it would say to one that knows XADD … IDMP.

No server that knows it (Redis 8.6) can be had from the package index: a stand-in records the commands.
"""

import asyncio
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from vigil.errors import InvalidConfig
from vigil.events import redis_link
from vigil.events.embedded import EmbeddedRedis
from vigil.events.redis_link import Entry, connected
from vigil.events.settings import EventSettings

ENTRY = Entry("id-1", "zone.enter", "gate", b"{}")


class StandIn:
    """Answers as Redis 8.6 would, and keeps what it was asked."""

    def __init__(self, *, scripts: bool = True) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._scripts = scripts

    async def script_load(self, script: str) -> str:
        if not self._scripts:
            raise NoPermissionError("no")
        return "sha"

    async def info(self) -> dict[str, Any]:
        return {"redis_version": "8.6.0", "maxmemory_policy": "noeviction", "aof_enabled": 1}

    async def evalsha(self, *command: Any) -> int:
        self.asked.append(("EVALSHA", *command))
        return 1

    async def execute_command(self, *command: Any) -> Any:
        self.asked.append(command)
        if command[:2] == ("XINFO", "STREAM"):
            return {b"idmp-duration": 100, b"idmp-maxsize": 100}
        return None

    def pipeline(self, *, transaction: bool) -> "StandIn":
        assert transaction
        return self

    async def __aenter__(self) -> "StandIn":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def execute(self) -> None: ...

    async def aclose(self) -> None: ...


def send(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn, batches: int) -> None:
    monkeypatch.setattr(redis_link, "client_of", lambda url, **options: stand_in)

    async def main() -> None:
        settings = EventSettings()
        async with connected("redis://h", settings=settings, producer="log-7") as link:
            assert link.server.idempotent
            for _ in range(batches):
                await link.add([ENTRY])

    asyncio.run(main())


def test_a_server_that_knows_idempotence_gets_the_events_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in = StandIn()
    send(monkeypatch, stand_in, batches=2)
    sent = [command for command in stand_in.asked if command[0] == "EVALSHA"]
    assert sent == [("EVALSHA", "sha", 1, "vigil:events", "log-7", *ENTRY)] * 2
    sizes = [command for command in stand_in.asked if command[0] == "XCFGSET"]
    # Once: setting it again would forget what was remembered.
    assert sizes == [("XCFGSET", "vigil:events", "IDMP-DURATION", 86_400, "IDMP-MAXSIZE", 10_000)]


def test_so_does_one_without_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn(scripts=False)
    sent: list[tuple[Any, ...]] = []

    class Pipe(StandIn):
        def execute_command(self, *command: Any) -> Any:  # type: ignore[override]
            sent.append(command)

    monkeypatch.setattr(stand_in, "pipeline", lambda *, transaction: Pipe())
    send(monkeypatch, stand_in, batches=1)
    fields = ("id", "id-1", "type", "zone.enter", "stream", "gate", "data", b"{}")
    assert sent == [("XADD", "vigil:events", "IDMP", "log-7", "id-1", "*", *fields)]


def test_looking_for_idempotence_leaves_no_key(redis_server: EmbeddedRedis) -> None:
    async def main() -> None:
        async with connected(redis_server.url, settings=EventSettings(), producer="x") as link:
            assert not link.server.idempotent
            assert link.server.version.startswith("6.2")
            assert await link._client.keys("*") == []

    asyncio.run(main())


def test_a_script_that_the_server_forgot_is_an_error_that_reconnecting_mends(
    redis_server: EmbeddedRedis,
) -> None:
    async def main() -> None:
        settings = EventSettings()
        async with connected(redis_server.url, settings=settings, producer="x") as link:
            await link._client.script_flush()
            with pytest.raises(ResponseError):
                await link.add([ENTRY])
        async with connected(redis_server.url, settings=settings, producer="x") as link:
            await link.add([ENTRY])

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://ann:canary@host", "redis://ann:canary@host:port/0"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidConfig, match=r"redis\.url") as raised:
        redis_link.check_url(url)
    assert "canary" not in str(raised.value)

"""The embedded Redis server: starts, keeps its data, ends, and says what is missing."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from vigil.bench.events import make_events
from vigil.errors import Unavailable
from vigil.events import embedded, reader
from vigil.events.embedded import EmbeddedRedis
from vigil.events.redis_link import Entry, connected, redacted
from vigil.events.schema import encode
from vigil.events.settings import EventSettings


def at(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def test_it_serves_on_a_socket_and_a_port_and_ends(tmp_path: Path) -> None:
    with EmbeddedRedis(port=0) as server:
        pid = server.pid
        for url in (server.url, server.tcp_url):
            with contextlib.closing(redis.Redis.from_url(url)) as client:
                assert client.ping()
        directory = server.directory
    assert not psutil.pid_exists(pid)
    assert not directory.exists()


def test_its_data_outlives_a_kill(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, contextlib.closing(at(server)) as client:
        client.set("a", "1")
        server.kill()
        server.start()
        assert client.get("a") == b"1"
    with EmbeddedRedis(tmp_path) as server, contextlib.closing(at(server)) as client:
        assert client.get("a") == b"1"


def test_a_server_that_was_left_over_is_taken_over(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as first:
        with contextlib.closing(at(first)) as client:
            client.set("a", "1")
        with EmbeddedRedis(tmp_path) as second, contextlib.closing(at(second)) as client:
            assert client.get("a") == b"1"


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, signal; from pathlib import Path; from vigil.events.embedded import EmbeddedRedis\n"
        "with EmbeddedRedis(Path(sys.argv[1])) as server:\n"
        "    print(server.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([server], timeout=10)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def test_a_long_directory_name_is_no_hindrance(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / ("long" * 30)) as server:
        assert len(server.url) < 100


def test_a_wrong_option_shows_what_the_server_says(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nonsense"), EmbeddedRedis(options={"nonsense": "1"}):
        pass


def test_a_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match=r"vigil\[embedded\]"):
        embedded.find_server()


def test_a_reader_follows_from_any_entry(redis_server: EmbeddedRedis) -> None:
    events = make_events(30, streams=2)

    async def add(part) -> None:
        async with connected(redis_server.url, settings=EventSettings(), producer="test") as link:
            await link.add([Entry(e.event_id, e.type, e.stream_id, encode(e, 1)) for e in part])

    async def main() -> None:
        await add(events[:10])
        first = await reader.page(redis_server.url, limit=4)
        assert [entry.event_id for entry in first] == [event.event_id for event in events[:4]]
        resumed = reader.follow(redis_server.url, after=first[-1].entry_id, block_s=0.05)
        live = reader.follow(redis_server.url, block_s=0.05)
        waiting = asyncio.ensure_future(anext(live))
        for event in events[4:10]:
            assert (await anext(resumed)).read().event.event_id == event.event_id
        while not waiting.done() and len(events) < 1000:  # it may fix its place after an add
            extra = make_events(1, streams=2, first=len(events))
            events.extend(extra)
            await add(extra)
            await asyncio.wait([waiting], timeout=0.1)
        assert (await waiting).event_id in {event.event_id for event in events[30:]}
        await resumed.aclose()
        await live.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann:can%2Fary@host/0",
        "redis://:canary@host",
        "redis://h/0?password=canary",
        "redis://h",
    ],
)
def test_no_part_of_a_password_is_left(url: str) -> None:
    text = f"cannot reach {url} as ann with can/ary, can%2Fary"
    shown = redacted(text, url)
    assert "canary" not in shown
    if "can%2Fary" in url:
        assert "ary" not in shown

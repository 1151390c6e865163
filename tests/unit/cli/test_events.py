"""`vigil events`: the same JSON from the service and from Redis, filters, and what goes wrong."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tests.unit.api.loopback import Site
from tests.unit.cli.conftest import Run
from vigil.bench.events import make_events
from vigil.cli import main
from vigil.data import Event, Phase
from vigil.events.embedded import EmbeddedRedis
from vigil.events.pipeline import EventPipeline
from vigil.events.settings import EventSettings
from vigil.store.database import Database


def varied(count: int) -> list[Event]:
    return [
        msgspec.structs.replace(
            event,
            type=("zone.enter", "line.cross", "camera.dark")[number % 3],
            phase=(Phase.NEW, Phase.END)[number % 2],
            rule_id=None if number % 3 == 2 else "door",
            track_id=None if number % 3 == 2 else number,
            class_name=None if number % 3 == 2 else "person",
            score=None if number % 3 == 2 else 0.5,
            bbox=None if number % 3 == 2 else event.bbox,
            occurred_at_s=1_769_847_300.25 + number,
            attributes={"direction": "left", "count": number, "kind": {"van": 0.5, "n": 2}},
        )
        for number, event in enumerate(make_events(count, streams=2))
    ]


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


def publish(state: Path, url: str, events: list[Event]) -> None:
    async def run() -> None:
        with Database(state) as database:
            settings = EventSettings(flush_grace_s=30.0)
            async with EventPipeline(database, redis_url=url, settings=settings) as pipeline:
                await pipeline.outbox.append(events)

    asyncio.run(run())


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


async def test_replay_prints_the_published_json(site: Site, run: Run) -> None:
    events = varied(12)
    await site.outbox.append(events)
    result = await run("events", "replay", "--json")
    assert result.exit_code == 0, result.output
    bodies = lines(result.output)
    assert [body["event_id"] for body in bodies] == [event.event_id for event in events]
    assert [body["event_seq"] for body in bodies[:4]] == [1, 1, 2, 2]
    assert bodies[4]["attributes"] == {
        "direction": "left",
        "count": 4,
        "kind": {"van": 0.5, "n": 2},
    }
    assert bodies[2]["track_id"] is bodies[2]["class"] is bodies[2]["bbox"] is None
    assert bodies[0]["track_id"] == 0


async def test_replay_takes_filters(site: Site, run: Run) -> None:
    events = varied(60)
    await site.outbox.append(events)
    for flags, wanted in (
        (("--stream", "camera-1"), lambda e: e.stream_id == "camera-1"),
        (("--type", "zone.*", "--type", "camera.dark"), lambda e: e.type != "line.cross"),
        (("--phase", "end"), lambda e: e.phase is Phase.END),
        (("--rule", "door", "--limit", "5"), lambda e: e.rule_id == "door" and e.track_id < 7),
        (("--since", "2026-01-31T08:15:30Z"), lambda e: e.occurred_at_s >= 1_769_847_330),
        (("--until", "2026-01-31T08:15:10Z"), lambda e: e.occurred_at_s < 1_769_847_310),
        (("--since", "1s"), lambda e: False),
    ):
        result = await run("events", "replay", "--json", *flags)
        assert result.exit_code == 0, result.output
        found = [body["event_id"] for body in lines(result.output)]
        assert found == [event.event_id for event in events if wanted(event)], flags


async def test_people_get_one_line_an_event(site: Site, run: Run) -> None:
    await site.outbox.append(varied(3))
    first, _, last = (await run("events", "replay")).output.splitlines()
    assert "camera-0  zone.enter new  person 0 (0.50)  rule door  count=0  direction=left" in first
    assert "camera.dark new" in last
    assert "\x1b" not in first  # no terminal, no colours


async def test_tail_resumes_after_a_cursor_and_ends_at_its_limit(site: Site, run: Run) -> None:
    events = varied(10)
    await site.outbox.append(events)
    cursor = f"{site.outbox.log_id}-4"
    result = await run("events", "tail", "--json", "--cursor", cursor, "--limit", "6")
    assert [body["event_id"] for body in lines(result.output)] == [e.event_id for e in events[4:]]


async def test_what_is_wrong_is_said(site: Site, run: Run) -> None:
    for arguments, text in (
        (("tail", "--cursor", "nonsense"), "no cursor"),
        (("tail", "--address", "127.0.0.1:1"), "no service answers"),
        (("replay", "--since", "tomorrow"), "neither a time"),
        (("replay", "--redis", "redis://u:canary@127.0.0.1:1/0"), "reading events from Redis"),
        (("tail", "--redis", "nonsense://x"), "reading events from Redis"),
    ):
        result = await run("events", *arguments)
        assert result.exit_code in (1, 2)
        assert text in result.output
        assert "canary" not in result.output
        assert "Traceback" not in result.output


def test_from_redis_comes_the_same(tmp_path: Path, server: EmbeddedRedis) -> None:
    events = varied(30)
    publish(tmp_path, server.url, events)
    for command in (("replay",), ("tail", "--cursor", "0-0", "--limit", "10")):
        arguments = ("events", *command, "--redis", server.url, "--type", "zone.*", "--json")
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        bodies = lines(result.output)
        assert [body["event_id"] for body in bodies] == [event.event_id for event in events[::3]]
        assert all(body["published_at"] for body in bodies)

"""The stream registry: what a client asked for survives, and numbers are never used twice."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from vigil.errors import StaleGeneration, StreamExists, UnknownStream
from vigil.spec import LineRule, Point, Source, StreamSpec, ZoneRule
from vigil.store.database import Database
from vigil.store.errors import DamagedState
from vigil.store.registry import Registry


def spec(stream_id: str = "gate", **changes: object) -> StreamSpec:
    return msgspec.structs.replace(
        StreamSpec(
            stream_id=stream_id,
            source=Source(uri="rtsp://camera/1", username="ann", password="s3cret"),
            rules=(
                ZoneRule(rule_id="z", polygon=(Point(0, 0), Point(1, 0), Point(1, 1))),
                LineRule(rule_id="l", points=(Point(0, 0.5), Point(1, 0.5))),
            ),
            labels={"site": "north"},
        ),
        **changes,
    )


def opened(database: Database) -> Registry:
    registry = Registry(database)
    registry.load()
    return registry


def test_a_stream_and_its_secrets_survive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            assert await opened(database).add(spec()) == (spec(), 1)
        with Database(tmp_path) as database:
            assert opened(database).get("gate") == (spec(), 1)

    asyncio.run(main())


def test_the_same_definition_twice_is_success_and_another_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            await registry.add(spec())
            assert await registry.add(spec()) == (spec(), 1)
            with pytest.raises(StreamExists, match="UpdateStream"):
                await registry.add(spec(detect_fps=9.0))
            assert registry.get("gate").spec == spec()

    asyncio.run(main())


def test_a_change_counts_generations_and_a_stale_one_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            await registry.add(spec())
            assert (await registry.update(spec(priority=3), generation=1)).generation == 2
            with pytest.raises(StaleGeneration, match="at generation 2, not 1"):
                await registry.update(spec(priority=4), generation=1)
            assert (await registry.update(spec(priority=5))).generation == 3
            assert (await registry.update(spec(priority=5))).generation == 3  # nothing changed
            with pytest.raises(UnknownStream):
                await registry.update(spec("other"))
            assert registry.get("gate") == (spec(priority=5), 3)

    asyncio.run(main())


def test_a_stream_added_again_uses_no_number_twice(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            await registry.add(spec())
            assert [await registry.next_run("gate") for _ in range(3)] == [1, 2, 3]
            await registry.remove("gate")
            assert "gate" not in registry
            with pytest.raises(UnknownStream):
                registry.get("gate")
            with pytest.raises(UnknownStream):
                await registry.remove("gate")
        with Database(tmp_path) as database:
            registry = opened(database)
            assert len(registry) == 0
            assert (await registry.add(spec())).generation == 2
            assert await registry.next_run("gate") == 4

    asyncio.run(main())


def test_runs_asked_for_at_once_are_all_different(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            runs = await asyncio.gather(*(registry.next_run("gate") for _ in range(100)))
            assert sorted(runs) == list(range(1, 101))

    asyncio.run(main())


def test_a_caller_that_gives_up_leaves_memory_and_file_agreeing(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            call = asyncio.create_task(registry.add(spec()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the change is under way
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await registry.add(spec())).generation == 1
            assert "gate" in registry
            assert registry.get("gate") == opened(database).get("gate")

    asyncio.run(main())


def test_a_page_of_a_thousand_streams_takes_under_20_ms(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            registry = opened(database)
            ids = [f"camera-{number:04}" for number in range(1000)]
            await asyncio.gather(*(registry.add(spec(each, enabled=False)) for each in ids))
            started_s = time.process_time()
            page = registry.list(limit=500)
            rest = registry.list(after=page[-1].spec.stream_id, limit=1000)
            assert time.process_time() - started_s < 0.02
            assert [each.spec.stream_id for each in [*page, *rest]] == ids
            assert registry.list(after="camera-0998", limit=10)[0].spec.stream_id == "camera-0999"

    asyncio.run(main())


def test_a_definition_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    async def main() -> None:
        with Database(tmp_path) as database:
            await opened(database).add(spec())
            await database.write(
                lambda c: c.execute("UPDATE stream SET spec = ?", (b"{",)).rowcount
            )
            with pytest.raises(DamagedState, match="definition"):
                opened(database)

    asyncio.run(main())

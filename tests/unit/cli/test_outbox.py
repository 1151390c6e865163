"""`vigil outbox`: what waits, sending again, giving up; beside a service that has the file open."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vigil.bench.events import make_events
from vigil.cli import main
from vigil.events.outbox import Outbox
from vigil.store.database import Database


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Ten events, of which Redis has four."""

    async def fill() -> None:
        with Database(tmp_path) as database:
            outbox = Outbox(database)
            outbox.load()
            await outbox.append(make_events(10, streams=1))
            await outbox.mark_sent(await outbox.unsent(4), published_at_s=1.0)

    asyncio.run(fill())
    return tmp_path


def run(*arguments: str, state: Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["outbox", *arguments, "--state", str(state)], input=answer)


def waiting(state: Path) -> int:
    return int(json.loads(run("show", "--json", "--limit", "0", state=state).stdout)["waiting"])


def test_show_tells_how_many_wait_and_which(state: Path) -> None:
    result = run("show", "--limit", "2", state=state)
    assert result.exit_code == 0
    first, *rows, more = result.output.splitlines()
    assert first.startswith("6 events wait for Redis, the first for ")
    assert [row.split()[0] for row in rows] == ["5", "6"]
    assert "…" in more
    report = json.loads(run("show", "--json", state=state).stdout)
    assert (report["waiting"], report["sent_cursor"], report["newest_cursor"]) == (6, 4, 10)


def test_retry_sends_again(state: Path) -> None:
    assert "8 events wait" in run("retry", "--after", "2", state=state).output
    assert "10 events wait" in run("retry", "--after", "0", state=state).output
    assert run("retry", state=state).exit_code == 2


def test_drop_asks_and_gives_up(state: Path) -> None:
    assert run("drop", state=state, answer="n\n").exit_code == 1
    assert waiting(state) == 6
    assert (
        "2 events were given up, 4 wait"
        in run("drop", "--through", "6", "--yes", state=state).output
    )
    assert "4 events were given up, 0 wait" in run("drop", state=state, answer="y\n").output
    assert "no event waits" in run("show", state=state).output


def test_it_works_beside_the_service(state: Path) -> None:
    with Database(state):
        assert waiting(state) == 6
        assert run("drop", "--yes", state=state).exit_code == 0
        assert waiting(state) == 0


def test_it_makes_no_state_where_there_is_none(tmp_path: Path) -> None:
    result = run("show", state=tmp_path / "none")
    assert result.exit_code == 1
    assert "holds no state" in result.output
    assert not (tmp_path / "none").exists()

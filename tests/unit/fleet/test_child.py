"""A child process and the conversation with it, over real sockets."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.processes import alive, children, descriptors
from tests.unit.fleet.echo_child import Note
from vigil.errors import InvalidConfig
from vigil.fleet import child as module
from vigil.fleet.child import Child
from vigil.ipc.channel import Parcel


class Talk:
    """A child with everything that it said."""

    def __init__(self) -> None:
        self.heard: list[Note] = []
        self.payloads: list[bytes] = []
        self.status: int | None = None
        self._news = asyncio.Event()
        self.child: Child[Note, Note] = Child(
            "tests.unit.fleet.echo_child", Note, take=self._take, end=self._end
        )

    async def until(self, fact: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not fact():
                self._news.clear()
                await self._news.wait()

    def _take(self, parcel: Parcel[Note]) -> None:
        self.heard.append(parcel.message)
        self.payloads.append(parcel.payload())
        self._news.set()

    def _end(self, status: int) -> None:
        assert self.status is None, "an end is told once"
        self.status = status
        self._news.set()


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = Talk()
    talk.child.open()
    await talk.child.start()
    yield talk
    talk.child.kill()
    await talk.child.stop(10)


async def test_what_is_said_before_the_process_exists_comes_first() -> None:
    talk = Talk()
    talk.child.open()
    talk.child.send(Note("first", 1))
    starting = asyncio.create_task(talk.child.start())
    await asyncio.sleep(0)
    talk.child.send(Note("second", 2))
    await starting
    talk.child.send(Note("third", 3))
    await talk.until(lambda: len(talk.heard) == 3)
    assert [note.number for note in talk.heard] == [1, 2, 3]
    talk.child.send(Note("exit", 0))
    await talk.until(lambda: talk.status is not None)


async def test_messages_come_back_with_their_payloads(talk: Talk) -> None:
    picture = os.urandom(300_000)
    talk.child.send(Note("picture"), payload=picture)
    talk.child.send(Note("x" * 200_000))
    await talk.until(lambda: len(talk.heard) == 2)
    assert talk.payloads == [picture, b""]
    assert talk.child.running


async def test_an_exit_tells_its_status(talk: Talk) -> None:
    talk.child.send(Note("exit", 7))
    await talk.until(lambda: talk.status is not None)
    assert talk.status == 7
    assert not talk.child.running
    talk.child.send(Note("to nobody"))


async def test_a_crash_is_told_after_its_last_words(talk: Talk) -> None:
    pid = talk.child.pid
    talk.child.send(Note("die"))
    talk.child.send(Note("never read"))
    await talk.until(lambda: talk.status is not None)
    assert talk.status == -signal.SIGKILL
    assert talk.heard[-1].text == "last words"
    assert pid not in children(os.getpid()), "no zombie is left"


async def test_closing_the_socket_ends_the_process(talk: Talk) -> None:
    talk.child._close()
    await talk.until(lambda: talk.status is not None)
    assert talk.status == 0


async def test_a_child_that_does_not_stop_is_killed_when_its_grace_is_over(talk: Talk) -> None:
    talk.child.send(Note("deaf"))
    await talk.until(lambda: talk.heard)
    pid = talk.child.pid
    await talk.child.stop(0.05)
    assert talk.status == -signal.SIGKILL
    assert not alive(pid)


async def test_what_does_not_fit_waits_and_is_sent_later(talk: Talk) -> None:
    for number in range(500):
        talk.child.send(Note("y" * 20_000, number), payload=b"p" if number % 50 == 0 else b"")
    await talk.until(lambda: len(talk.heard) == 500)
    assert [note.number for note in talk.heard] == list(range(500))


async def test_a_child_that_takes_nothing_is_killed(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNSENT", 20)
    talk.child.send(Note("deaf"))
    await talk.until(lambda: talk.heard)
    for _ in range(200):
        talk.child.send(Note("y" * 50_000))
    await talk.until(lambda: talk.status is not None)
    assert talk.status == -signal.SIGKILL


async def test_descriptors_that_wait_for_a_child_that_dies_are_closed_once(talk: Talk) -> None:
    """Closing one twice would close whatever has its number by then."""
    talk.child.send(Note("deaf"))
    await talk.until(lambda: talk.heard)
    before = descriptors()
    reading, writing = os.pipe()
    for _ in range(100):
        talk.child.send(Note("y" * 50_000), descriptors=(reading,))
    os.close(reading)
    os.close(writing)
    assert descriptors() - before
    closed: list[int] = []
    close = os.close
    os.close = lambda fd: (closed.append(fd), close(fd))[1]
    try:
        talk.child.kill()
        await talk.until(lambda: talk.status is not None)
    finally:
        os.close = close
    assert len(closed) == len(set(closed))
    assert descriptors() < before


async def test_a_process_that_cannot_be_started_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_room(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = descriptors()
    talk = Talk()
    talk.child.open()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", no_room)
        with pytest.raises(OSError, match="temporarily"):
            await talk.child.start()
    assert descriptors() <= before
    assert not talk.child.running
    talk.child.send(Note("to nobody"))


async def test_an_error_in_what_hears_it_does_not_hide_the_end() -> None:
    talk = Talk()

    def fail(_: Parcel[Note]) -> None:
        raise KeyError("a bug")

    talk.child._take = fail
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    talk.child.open()
    await talk.child.start()
    talk.child.send(Note("a"))
    talk.child.send(Note("exit", 4))
    await talk.until(lambda: talk.status is not None)
    assert talk.status == 4
    await talk.child.stop(1)


async def test_a_child_inherits_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIGIL_REDIS__URL", "DB_PASSWORD", "vigil_token", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("TZ", "UTC")
    talk = Talk()
    talk.child.open()
    await talk.child.start()
    talk.child.send(Note(text="here"))
    await talk.until(lambda: talk.heard)
    environment = Path(f"/proc/{talk.child.pid}/environ").read_text()
    talk.child.kill()
    await talk.child.stop(10)
    assert "canary" not in environment
    assert "TZ=UTC" in environment


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user")
def test_a_child_can_run_as_another_user() -> None:
    done = subprocess.run(
        ["/usr/bin/id"], capture_output=True, text=True, check=True, **module.become("nobody")
    )
    assert "(root)" not in done.stdout
    assert "(nobody)" in done.stdout


def test_a_user_that_is_not_there_is_an_error_of_starting() -> None:
    with pytest.raises(OSError, match="no user"):
        module.become("no-such-user")


def test_a_user_that_cannot_run_vigil_is_refused_at_start() -> None:
    module.check_user("")
    with pytest.raises(InvalidConfig, match=r"hosts\.user"):
        module.check_user("no-such-user")

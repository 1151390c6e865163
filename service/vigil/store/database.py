"""One SQLite file: one thread writes it, a few read it, asyncio never waits for a disk.

Every write that waits when the writer is free goes into one transaction: the cost of a commit (0.2 ms
with synchronous=FULL here) is shared by all callers, and a caller is told only after it.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from vigil.errors import Busy, Unavailable
from vigil.store.errors import DamagedState, StateInUse, StorageFailed, damaged, translated
from vigil.store.migrations import migrate

FILE_NAME = "vigil.sqlite3"
LOCK_NAME = "lock"
READERS = 3  # the publisher, and watchers and lists beside it
QUEUE_LIMIT = 10_000  # jobs; more are refused with Busy
BUSY_S = 5.0  # how long a writer of another process (vigil outbox) is waited for
CHECKPOINT_PAGES = 4000  # 16 MB of log between two copies into the main file
CACHE_KIB = (
    2000  # a connection's: a larger one filled with the event log over hours, and won nothing
)
STOP_S = 10.0

T = TypeVar("T")


class _Job(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


class Database:
    """The state file of one directory, locked against a second service while it is open.

    A job is a function of a connection. It may be run more than once (its transaction may fail because
    of another job in it), so it changes nothing but the database. Entering opens, checks and migrates;
    it raises DamagedState, NewerState, StateInUse or StorageFailed.
    """

    def __init__(self, directory: Path, *, exclusive: bool = True) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        self._exclusive = exclusive
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._hurried = False  # a job that waits is to be run now
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._make_files()
            if self._exclusive:
                stack.enter_context(_locked(self.directory / LOCK_NAME))
            self._connection = self._open_checked()
            stack.callback(self._close_writer)
            for _ in range(READERS):
                self._idle.put(stack.enter_context(contextlib.closing(self._open())))
            self._readers = stack.enter_context(_started_pool(READERS))
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="vigil-state-write", daemon=True)
            self._thread.start()
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, then close. A disk that hangs is left to the daemon thread after 10 s."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(STOP_S)
            if self._thread.is_alive():
                return
        self._resources.close()
        self._idle = queue.SimpleQueue()

    async def write(self, job: Callable[[sqlite3.Connection], T], *, within_s: float = 0.0) -> T:
        """Run a job in the next transaction; returns its value after the commit.

        One that has ``within_s`` waits so long for another job, to share its transaction: each takes the
        disk, and this process, the same time whatever is in it.
        Raises what the job raises, StorageFailed or DamagedState where the file cannot be written, Busy
        where 10,000 jobs wait already, Unavailable once the database closes.
        """
        future: Future[T] = Future()
        with self._wake:
            if self._stopping or self._thread is None:
                raise Unavailable("the state file is closed: the service is stopping")
            if len(self._jobs) >= QUEUE_LIMIT:
                raise Busy("too many writes wait for the state file; try again later")
            self._jobs.append(_Job(job, future))
        if not within_s:
            self._hurry()
            return await asyncio.wrap_future(future)
        alone = asyncio.get_running_loop().call_later(within_s, self._hurry)
        try:
            return await asyncio.wrap_future(future)
        finally:
            alone.cancel()

    def _hurry(self) -> None:
        """What waits is to be written now."""
        with self._wake:
            self._hurried = True
            self._wake.notify()

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job that only reads, on a thread and connection of its own."""
        if self._readers is None:
            raise Unavailable("the state file is closed: the service is stopping")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, job)

    def read_now(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """The same on the caller's thread: for start-up and tools, not for an event loop."""
        connection = self._idle.get()
        try:
            return job(connection)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            self._idle.put(connection)

    def _make_files(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Ours alone before SQLite opens it: it holds cameras' passwords. -wal and -shm take after it.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
        except OSError as error:
            raise StorageFailed(
                f"{self.path} cannot be made or written ({error.strerror}): mend the folder's owner and"
                " permissions, or set state.path",
                full=error.errno == errno.ENOSPC,
            ) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return connection

    def _open_checked(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            connection = self._open()
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, self.path)
            # The event log may be a gigabyte: only what the service cannot start without is checked.
            for table in ("stream", "counter", "log"):
                (found,) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
                if found != "ok":
                    raise damaged(self.path, found)
        except (sqlite3.Error, DamagedState) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise translated(error, self.path) from error
            raise
        return connection

    def _close_writer(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        while jobs := self._take():
            self._commit([job for job in jobs if job.future.set_running_or_notify_cancel()])

    def _take(self) -> list[_Job]:
        """All jobs that wait; blocks until one of them waits no longer. Empty when the database closes."""
        with self._wake:
            while not (self._hurried and self._jobs) and not self._stopping:
                self._wake.wait()
            self._hurried = False
            jobs = list(self._jobs)
            self._jobs.clear()
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        """All jobs in one transaction; where that fails, each in one of its own."""
        try:
            results = self._transact(jobs)
        except Exception as error:  # handed to the caller whose job it is
            if len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            for job in jobs:
                job.future.set_exception(
                    translated(error, self.path) if isinstance(error, sqlite3.Error) else error
                )
            return
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _transact(self, jobs: list[_Job]) -> list[Any]:
        if self._connection is None:
            self._connection = self._open()
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [job.run(connection) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return results

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Undo; a connection that cannot even do that (an I/O error) is opened anew next time."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._close_writer()


def _started_pool(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads all run: left to itself it makes them over hours, and each takes memory."""
    pool = ThreadPoolExecutor(threads, "vigil-state-read")
    together = threading.Barrier(threads)
    for _ in range(threads):
        pool.submit(together.wait)
    return pool


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel gives it back however the process ends."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(
                f"another vigil serves from {path.parent}: stop it, or give this one a state.path"
                " of its own"
            ) from None
        yield
    finally:
        os.close(descriptor)

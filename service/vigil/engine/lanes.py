"""Threads that infer, each a whole batch by itself: none waits for another within an operation."""

import os
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from vigil.clock import Clock

STOP_TIMEOUT_S = 5.0

Result = TypeVar("Result")


class _Job(NamedTuple):
    work: Callable[[], Any]
    then: Callable[[Any], None]


class _Done(NamedTuple):
    job: _Job
    result: Any
    error: BaseException | None


class Lanes:
    """``count`` threads that share a queue of work; what it gives is taken by the thread that gave it.

    torch computes without the interpreter's lock, so that two lanes use two cores, and a lane without a
    core holds up its own batch only. ``prepare`` is called on each thread first. `wake` is readable once
    results are there.
    """

    def __init__(self, count: int, *, clock: Clock, prepare: Callable[[], None]) -> None:
        self.count = count
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._clock = clock
        self._prepare = prepare
        self._given = 0  # jobs whose results were not collected yet
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._since_s: list[float | None] = [None] * count  # each written by one lane
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"lane-{lane}", daemon=True)
            for lane in range(count)
        ]

    @property
    def given(self) -> int:
        """Jobs that are being done or wait for a lane."""
        return self._given

    @property
    def free(self) -> int:
        """Lanes with nothing to do."""
        return max(0, self.count - self._given)

    def oldest_start_s(self) -> float | None:
        """Since when the job has lasted that has lasted longest; None where all lanes are idle."""
        return min((since_s for since_s in self._since_s if since_s is not None), default=None)

    def give(self, work: Callable[[], Result], then: Callable[[Result], None]) -> None:
        """Do ``work`` on a lane; `collect` will call ``then`` with what it gave."""
        self._given += 1
        self._jobs.put(_Job(work, then))

    def collect(self) -> None:
        """Hand out the results that are there; called when `wake` is readable.

        Raises what a job raised.
        """
        os.eventfd_read(self.wake)
        while not self._done.empty():
            done = self._done.get()
            self._given -= 1
            if done.error is not None:
                raise done.error
            done.job.then(done.result)

    def __enter__(self) -> "Lanes":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self.wake)

    def _run(self, lane: int) -> None:
        self._prepare()
        while (job := self._jobs.get()) is not None:
            self._since_s[lane] = self._clock.monotonic_s()
            result, failed = None, None
            try:
                result = job.work()
            except BaseException as error:  # the engine's loop raises it
                failed = error
            self._since_s[lane] = None
            self._done.put(_Done(job, result, failed))
            os.eventfd_write(self.wake, 1)

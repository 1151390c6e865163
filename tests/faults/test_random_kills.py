"""Hosts and engines are killed at random moments while clients do everything at once."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.support import videos
from tests.support.processes import Holdings, children, named
from tests.support.site import MARKER, Account, Site, is_online, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2, snapshots_pb2, streams_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SECONDS = 40.0
BACK_S = 90.0  # eight processes may be starting on a busy machine; the time is printed
STREAMS = [f"base-{index}" for index in range(4)]


class Clients:
    """Threads that use a service in every way until they are told to stop."""

    def __init__(self, site: Site, clips: Clips, seed: int) -> None:
        self._site = site
        self._clips = clips
        self._draw = random.Random(seed)
        self._stop = threading.Event()
        self._seen: dict[str, Account] = {}
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        works = [self.churn, self.churn, self.push, self.push, self.look, self.scrape, self.kill]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]

    def run(self, seconds: float) -> None:
        for thread in self._threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
                self.done[work.__name__] += 1
            except grpc.RpcError as error:
                self.done[f"{work.__name__}: {error.code().name}"] += 1
            except Exception as error:  # a test's thread: the test's end shows it
                self.wrong.append(f"{work.__name__}: {error!r}")

    def churn(self) -> None:
        """A stream that is added, changed and removed again."""
        site, draw, clips = self._site, self._draw, self._clips
        name = f"churn-{draw.randrange(3)}"
        uri = draw.choice([clips.short, clips.long, clips.text]).as_uri()
        site.add(name, uri, rules=[MARKER], source_pace=draw.choice([1, 2]))
        if draw.random() < 0.5:
            site.update(name, "rules", rules=[])
        if draw.random() < 0.3:
            site.update(name, "source", source_uri=clips.long.as_uri())
        self._stop.wait(draw.random() * 0.3)
        site.remove(name)

    def push(self) -> None:
        """A client that pushes frames; some hang up in the middle."""
        name, hang_up = f"push-{self._draw.randrange(10**6)}", self._draw.random() < 0.3

        def requests() -> Iterator[analysis_pb2.AnalyzeFramesRequest]:
            yield analysis_pb2.AnalyzeFramesRequest(stream=spec_of(name, "push:", rules=[MARKER]))
            for index in range(10):
                frame = analysis_pb2.PushedFrame(image=videos.jpeg(index))
                yield analysis_pb2.AnalyzeFramesRequest(frame=frame)

        call = self._site.analysis.AnalyzeFrames(requests(), timeout=20)
        for index, _ in enumerate(call):
            if hang_up and index == 5:
                call.cancel()
                return
        self._stop.wait(0.05)

    def look(self) -> None:
        """A snapshot of one of the streams that stay."""
        request = snapshots_pb2.GetSnapshotRequest(stream_id=self._draw.choice(STREAMS))
        self._stop.wait(0.1)
        self._site.snapshots.GetSnapshot(request, timeout=20)

    def scrape(self) -> None:
        """Every scrape balances, and no counter of a stream that stays goes back."""
        accounts = self._site.scrape().accounts()
        for stream_id, account in accounts.items():
            if not account.balances:
                self.wrong.append(f"{stream_id} does not balance: {account}")
            before = self._seen.get(stream_id)
            if stream_id not in STREAMS or before is None:
                continue
            back = [n for n in account.outcomes if account.outcomes[n] < before.outcomes[n]]
            if account.read < before.read or back:
                self.wrong.append(f"{stream_id} goes back: {before} to {account}")
        self._seen = accounts
        self._stop.wait(0.05)

    def kill(self) -> None:
        """kill -9 of a host or of the engine, every few seconds."""
        self._stop.wait(self._draw.uniform(1.0, 4.0))
        victims = [pid for pid, name in children(self._site.vigil.pid).items() if "vigil" in name]
        if victims:
            os.kill(self._draw.choice(victims), signal.SIGKILL)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_kills_leave_no_trace(
    open_site: Callable[..., Any], clips: Clips, seed: int
) -> None:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="3") as site:
        for stream_id in STREAMS:
            site.add(
                stream_id, clips.long.as_uri(), rules=[MARKER], source_loop=True, detect_fps=10
            )
        for stream_id in STREAMS:
            site.wait_online(stream_id)
        clients = Clients(site, clips, seed)
        clients.run(SECONDS)
        print(dict(clients.done))
        assert clients.wrong == []
        assert clients.done["kill"] >= 5

        calm_s = time.monotonic()
        for stream_id in STREAMS:
            site.wait(stream_id, is_online, timeout_s=BACK_S)
            site.wait_marks(stream_id, 2, timeout_s=BACK_S)
        print(f"all streams analysed {time.monotonic() - calm_s:.1f} s after the last kill")
        until(
            lambda: listed(site) == set(site.scrape().accounts()), what="nothing but what is listed"
        )
        service = site.vigil.pid
        assert "zombie" not in children(service).values()
        hosts = len(named(service, "vigil.host"))
        # a host's slots, crops and counters; the engine's counters
        assert Holdings.of(service).memfds == 3 * hosts + 1
        for stream_id in STREAMS:
            numbers = [entry.read().event_seq for entry in site.entries(stream_id)]
            assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
        assert site.vigil.stop() == 0
        assert "Traceback" not in site.log()


def listed(site: Site) -> set[str]:
    request = streams_pb2.ListStreamsRequest(page_size=1000)
    return {stream.spec.stream_id for stream in site.streams.ListStreams(request).streams}

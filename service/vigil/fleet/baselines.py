"""Learnt limits: samples of hosts into the history, curves out of it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from vigil.clock import Clock
from vigil.errors import UnknownBaseline
from vigil.rules.usual import HOUR_S, Baseline, Sample, learn
from vigil.spec import Edge, Learnt, OccupancyRule, StreamSpec, TrafficRule
from vigil.store.history import History, HistoryKey


class Baselines:
    """Knows every learnt limit of every stream. One event loop uses it."""

    def __init__(self, history: History, clock: Clock) -> None:
        self._history = history
        self._clock = clock
        self._told_hour: dict[HistoryKey, int] = {}  # the last hour whose curve was told

    async def note(self, spec: StreamSpec, samples: Sequence[Sample]) -> tuple[Baseline, ...]:
        """Keep samples; answers the curves that are an hour old by them, learnt anew."""
        keys = {(key.rule_id, key.edge): (key, learnt) for key, learnt in learnt_limits(spec)}
        by_hour: dict[tuple[HistoryKey, int], list[float]] = defaultdict(list)
        for sample in samples:
            if (known := keys.get((sample.rule_id, sample.edge.value))) is not None:
                by_hour[known[0], int(sample.begun_s // HOUR_S)].append(sample.value)
        due = []
        for (key, hour), values in by_hour.items():
            await self._history.append(key, hour, values)
            if self._told_hour.get(key, hour) != hour:
                due.append(await self._curve(key, keys[key.rule_id, key.edge][1]))
            self._told_hour[key] = hour
        return tuple(due)

    async def of(self, spec: StreamSpec) -> tuple[Baseline, ...]:
        """The curves of all learnt limits of a stream."""
        return tuple([await self._curve(key, learnt) for key, learnt in learnt_limits(spec)])

    async def one(self, spec: StreamSpec, rule_id: str, edge: str) -> Baseline:
        """One curve; no edge: above where it is learnt, else below. Raises UnknownBaseline."""
        for key, learnt in learnt_limits(spec):
            if key.rule_id == rule_id and edge in ("", key.edge):
                return await self._curve(key, learnt)
        side = f" {edge}" if edge else ""
        raise UnknownBaseline(
            f"stream {spec.stream_id!r} has no rule {rule_id!r} with a learnt limit{side}"
        )

    async def forget(self, stream_id: str) -> None:
        """The stream is removed."""
        for key in [key for key in self._told_hour if key.stream_id == stream_id]:
            del self._told_hour[key]
        await self._history.forget(stream_id)

    async def _curve(self, key: HistoryKey, learnt: Learnt) -> Baseline:
        history = await self._history.read(key)
        now_s = self._clock.utc_s()
        return learn(key.rule_id, Edge(key.edge), learnt, history, now_s=now_s)


def learnt_limits(spec: StreamSpec) -> Iterator[tuple[HistoryKey, Learnt]]:
    """Every learnt limit of a stream, those above before those below."""
    for rule in spec.rules:
        if not isinstance(rule, OccupancyRule | TrafficRule):
            continue
        drawn = msgspec.structs.replace(rule, above=None, below=None)
        if isinstance(drawn, OccupancyRule):
            drawn = msgspec.structs.replace(drawn, update_s=0.0)
        encoded = msgspec.json.encode(drawn)
        fingerprint = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        for edge, limit in ((Edge.ABOVE, rule.above), (Edge.BELOW, rule.below)):
            if isinstance(limit, Learnt):
                yield HistoryKey(spec.stream_id, rule.rule_id, edge.value, fingerprint), limit

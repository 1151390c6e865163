"""What the same events cost when nothing is kept: pipelined XADD by the client library, nothing else."""

import time
from collections.abc import Sequence

from vigil.data import Event
from vigil.events.redis_link import client_of
from vigil.events.schema import encode


async def add_pipelined(
    url: str, *, key: str, events: Sequence[Event], batch_events: int
) -> dict[str, float]:
    """Add encoded events to a Redis stream as fast as it goes: events a second, CPU an event.

    Encoding is not in the time. This is the peer that `vigil bench events` compares with.
    """
    bodies = [encode(event, number) for number, event in enumerate(events, start=1)]
    client = client_of(url, connect_timeout_s=5.0)
    try:
        await client.ping()
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        for start in range(0, len(events), batch_events):
            async with client.pipeline(transaction=False) as pipe:
                for event, body in zip(
                    events[start : start + batch_events],
                    bodies[start : start + batch_events],
                    strict=True,
                ):
                    pipe.xadd(
                        key,
                        {
                            "id": event.event_id,
                            "type": event.type,
                            "stream": event.stream_id,
                            "data": body,
                        },
                    )
                await pipe.execute()
        took_s = time.perf_counter() - started_s
        cpu_s = time.process_time() - started_cpu_s
    finally:
        await client.aclose()
    return {"published_hz": len(events) / took_s, "cpu_s_per_event": cpu_s / len(events)}

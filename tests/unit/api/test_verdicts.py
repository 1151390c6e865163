"""ReportVerdict and ListVerdicts over a channel, with a real event log behind them."""

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.api.loopback import Site
from tests.unit.api.memory_fleet import T0_S, an_event
from tests.unit.api.test_stream_service import fields_of
from vigil.v1 import events_pb2 as pb
from vigil.v1.events_pb2_grpc import EventServiceStub

CORRECT, WRONG, UNCLEAR = pb.Verdict.CORRECT, pb.Verdict.WRONG, pb.Verdict.UNCLEAR


def episode(number: int) -> str:
    return f"{number:032x}"


async def keep(site: Site, numbers: range, **changes: object) -> None:
    for number in numbers:
        event = an_event(event_id=f"{number + 500:032x}", episode_id=episode(number), **changes)
        await site.outbox.append([event])


async def report(site: Site, number: int, value: Any = CORRECT, **changes: Any) -> pb.Verdict:
    verdict = pb.Verdict(**{"episode_id": episode(number), "value": value, **changes})
    stub = EventServiceStub(site.channel)
    return (await stub.ReportVerdict(pb.ReportVerdictRequest(verdict=verdict))).verdict


async def listed(site: Site, **fields: Any) -> list[tuple[int, int]]:
    answer = await EventServiceStub(site.channel).ListVerdicts(pb.ListVerdictsRequest(**fields))
    return [(int(verdict.episode_id, 16), verdict.value) for verdict in answer.verdicts]


async def test_a_verdict_comes_back_with_its_event(site: Site) -> None:
    await keep(site, range(1))
    told = await report(site, 0, WRONG, note="a shadow", operator="forged", stream_id="forged")
    assert (told.stream_id, told.event_type, told.operator) == ("gate", "zone.enter", "")
    assert (told.note, told.value) == ("a shadow", WRONG)
    assert told.reported_at.seconds == T0_S
    assert told.event.bbox.x2 == 0.5
    assert told.event.event_seq == 1
    answer = await EventServiceStub(site.channel).ListVerdicts(pb.ListVerdictsRequest())
    assert list(answer.verdicts) == [told]


async def test_a_second_verdict_takes_the_firsts_place_and_is_the_newest(site: Site) -> None:
    await keep(site, range(2))
    for number, value in ((0, CORRECT), (1, CORRECT), (0, WRONG)):
        await report(site, number, value)
    assert await listed(site) == [(0, WRONG), (1, CORRECT)]


async def test_an_episode_is_found_by_its_first_event_alone(site: Site) -> None:
    """Not by a label or an update that holds its id."""
    await site.outbox.append([an_event(labels={"episode_id": episode(3)})])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await report(site, 3)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_pages_and_filters(site: Site) -> None:
    await keep(site, range(5))
    await keep(site, range(5, 7), stream_id="yard", type="line.cross")
    for number in range(7):
        await report(site, number)
    stub, seen, token = EventServiceStub(site.channel), [], ""
    while True:
        request = pb.ListVerdictsRequest(page_size=3, page_token=token)
        page = await stub.ListVerdicts(request)
        seen += [int(verdict.episode_id, 16) for verdict in page.verdicts]
        token = page.next_page_token
        if not token:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0], "newest first"
    assert [number for number, _ in await listed(site, stream_ids=["yard"])] == [6, 5]
    assert [number for number, _ in await listed(site, event_types=["line.cross"])] == [6, 5]
    after = Timestamp(seconds=int(T0_S) + 1)
    assert await listed(site, start_time=after) == []
    assert len(await listed(site, end_time=after)) == 7


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"episode_id": ""}, "verdict.episode_id"),
        ({"episode_id": "x" * 65}, "verdict.episode_id"),
        ({"episode_id": "ä"}, "verdict.episode_id"),
        ({"value": pb.Verdict.VALUE_UNSPECIFIED}, "verdict.value"),
        ({"value": 9}, "verdict.value"),
        ({"note": "x" * 1025}, "verdict.note"),
    ],
)
async def test_a_field_that_cannot_be_accepted_is_named(
    site: Site, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await report(site, 1, **changes)
    assert list(fields_of(refused.value)) == [field]


async def test_a_page_token_that_is_none_is_refused(site: Site) -> None:
    for token in ("gate", "LTE="):  # no base64; base64 of -1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(site, page_token=token)
        assert list(fields_of(refused.value)) == ["page_token"]

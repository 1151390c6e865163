import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.api.loopback import Site
from tests.unit.api.memory_fleet import T0_S, an_event
from tests.unit.api.test_stream_service import fields_of
from vigil.data import Phase
from vigil.v1 import events_pb2 as pb
from vigil.v1.events_pb2_grpc import EventServiceStub

Code = grpc.StatusCode


async def keep(site: Site, count: int, *, first: int = 0, **changes: object) -> None:
    for index in range(first, first + count):
        await site.outbox.append([an_event(event_id=f"{index:032x}", **changes)])


def numbers(events: object) -> list[int]:
    return [int(event.event_id, 16) for event in events]  # type: ignore[attr-defined]


async def test_an_event_has_the_fields_of_the_contract(site: Site) -> None:
    await keep(site, 1)
    listed = await EventServiceStub(site.channel).ListEvents(pb.ListEventsRequest())
    assert MessageToDict(listed.events[0], preserving_proto_field_name=True) == {
        "event_id": "0" * 32,
        "episode_id": "f" * 32,
        "type": "zone.enter",
        "phase": "NEW",
        "stream_id": "gate",
        "run": "1",
        "event_seq": "1",
        "rule_id": "yard",
        "track_id": "7",
        "class": "person",
        "score": 0.75,
        "bbox": {"x1": 0.25, "y1": 0.5, "x2": 0.5, "y2": 1.0},
        "occurred_at": "2025-06-15T15:06:40.250Z",
        "labels": {"site": "north"},
        "attributes": {"count": 2.0, "direction": "left", "type": {"van": 0.5}},
    }


async def test_what_an_event_lacks_is_absent(site: Site) -> None:
    await keep(site, 1, rule_id=None, track_id=None, class_name=None, score=None, bbox=None)
    (event,) = (await EventServiceStub(site.channel).ListEvents(pb.ListEventsRequest())).events
    for field in ("rule_id", "track_id", "class", "score", "bbox", "published_at"):
        assert not event.HasField(field)


async def test_pages_hold_all_events_once_and_in_order(site: Site) -> None:
    await keep(site, 7)
    stub = EventServiceStub(site.channel)
    seen: list[int] = []
    token = ""
    while True:
        page = await stub.ListEvents(pb.ListEventsRequest(page_size=3, page_token=token))
        seen += numbers(page.events)
        token = page.next_page_token
        if not token:
            break
    assert seen == list(range(7))


async def test_a_filter_chooses(site: Site) -> None:
    await keep(site, 2)
    await keep(site, 1, first=2, stream_id="door", type="line.cross", class_name="car", score=0.25)
    await keep(site, 1, first=3, phase=Phase.END, labels={}, occurred_at_s=T0_S + 100)
    stub = EventServiceStub(site.channel)
    for filter_, expected in (
        (pb.EventFilter(stream_ids=["door"]), [2]),
        (pb.EventFilter(types=["zone.*"]), [0, 1, 3]),
        (pb.EventFilter(types=["line.cross"], classes=["person"]), []),
        (pb.EventFilter(phases=[pb.Event.END]), [3]),
        (pb.EventFilter(min_score=0.5, labels={"site": "north"}), [0, 1]),
        (pb.EventFilter(rule_ids=["other"]), []),
    ):
        listed = await stub.ListEvents(pb.ListEventsRequest(filter=filter_))
        assert numbers(listed.events) == expected
    late = await stub.ListEvents(pb.ListEventsRequest(start_time=Timestamp(seconds=int(T0_S) + 50)))
    assert numbers(late.events) == [3]
    early = await stub.ListEvents(pb.ListEventsRequest(end_time=Timestamp(seconds=int(T0_S) + 50)))
    assert numbers(early.events) == [0, 1, 2]


async def test_a_watch_begins_now_and_misses_nothing(site: Site) -> None:
    await keep(site, 2)
    watch = EventServiceStub(site.channel).WatchEvents(pb.WatchEventsRequest())
    await watch.initial_metadata()
    await keep(site, 3, first=2)
    assert numbers([(await watch.read()).event for _ in range(3)]) == [2, 3, 4]


async def test_a_watch_resumes_after_its_cursor(site: Site) -> None:
    await keep(site, 4)
    stub = EventServiceStub(site.channel)
    page = await stub.ListEvents(pb.ListEventsRequest(page_size=1))
    watch = stub.WatchEvents(pb.WatchEventsRequest(cursor=page.cursor))
    second = await watch.read()
    assert numbers([second.event]) == [1]
    watch.cancel()
    again = stub.WatchEvents(pb.WatchEventsRequest(cursor=second.cursor))
    assert numbers([(await again.read()).event, (await again.read()).event]) == [2, 3]


async def test_a_cursor_of_another_log_is_out_of_range_with_the_oldest_available(
    site: Site,
) -> None:
    stub = EventServiceStub(site.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.WatchEvents(pb.WatchEventsRequest(cursor="0123456789-7")).read()
    assert caught.value.code() is Code.OUT_OF_RANGE
    oldest = (caught.value.details() or "").rpartition(" ")[2]
    await keep(site, 1)
    watch = stub.WatchEvents(pb.WatchEventsRequest(cursor=oldest))
    assert numbers([(await watch.read()).event]) == [0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.WatchEventsRequest(cursor="junk"), "cursor"),
        (pb.WatchEventsRequest(filter=pb.EventFilter(min_score=2)), "filter.min_score"),
        (pb.WatchEventsRequest(filter=pb.EventFilter(phases=[99])), "filter.phases"),
        (pb.WatchEventsRequest(filter=pb.EventFilter(types=["x"] * 1001)), "filter.types"),
    ],
)
async def test_a_wrong_watch_is_refused(
    site: Site, request_: pb.WatchEventsRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await EventServiceStub(site.channel).WatchEvents(request_).read()
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert field in fields_of(caught.value)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListEventsRequest(page_token="junk"), "page_token"),
        (pb.ListEventsRequest(start_time=Timestamp(seconds=-1)), "start_time"),
        (pb.ListEventsRequest(end_time=Timestamp(nanos=-1)), "end_time"),
    ],
)
async def test_a_wrong_list_is_refused(
    site: Site, request_: pb.ListEventsRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await EventServiceStub(site.channel).ListEvents(request_)
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert field in fields_of(caught.value)


async def test_events_are_chosen_by_their_attributes(site: Site) -> None:
    await keep(site, 2)
    stub = EventServiceStub(site.channel)
    for attributes, count in (
        ({"direction": "left"}, 2),
        ({"direction": "left", "count": "2"}, 2),
        ({"type.van": "0.5"}, 2),
        ({"direction": "right"}, 0),
        ({"type": "van"}, 0),
        ({"nothing": "left"}, 0),
    ):
        request = pb.ListEventsRequest(filter=pb.EventFilter(attributes=attributes))
        assert len((await stub.ListEvents(request)).events) == count, attributes

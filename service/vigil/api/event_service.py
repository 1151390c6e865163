"""EventService: events as they happen, and those of the past."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from vigil.api.errors import within
from vigil.api.guard import CALLER
from vigil.api.lasting import LastingCalls
from vigil.api.paging import page_size, read_token, write_token
from vigil.api.past import MAX_EPISODE_ID
from vigil.api.results import event_message, verdict_message
from vigil.api.times import utc_s
from vigil.data import Phase
from vigil.errors import FieldViolation, InvalidRequest
from vigil.events.log import EventFilter, EventLog, Logged
from vigil.events.verdicts import VerdictFilter, Verdicts, VerdictValue
from vigil.v1 import events_pb2, events_pb2_grpc

MAX_FILTER_VALUES = 1000  # of one field
MAX_NOTE = 1024
_VALUES = {
    events_pb2.Verdict.CORRECT: VerdictValue.CORRECT,
    events_pb2.Verdict.WRONG: VerdictValue.WRONG,
    events_pb2.Verdict.UNCLEAR: VerdictValue.UNCLEAR,
}

_REPEATED = ("stream_ids", "types", "phases", "rule_ids", "classes", "labels", "attributes")
_PHASES = {
    events_pb2.Event.NEW: Phase.NEW,
    events_pb2.Event.UPDATE: Phase.UPDATE,
    events_pb2.Event.END: Phase.END,
}


class EventService(events_pb2_grpc.EventServiceServicer):
    """Serves the event log. Errors are raised; `vigil.api.calls` makes statuses of them."""

    def __init__(self, *, log: EventLog, verdicts: Verdicts, lasting: LastingCalls) -> None:
        self._log = log
        self._verdicts = verdicts
        self._lasting = lasting

    async def WatchEvents(  # noqa: N802 - the contract's name, as all of this class
        self, request: events_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[events_pb2.WatchEventsResponse]:
        """Events from a cursor or from now on, for ever.

        The call's initial metadata is sent once the watch stands: what happens after it is seen.
        """
        where = _filter(request.filter)
        cursor = request.cursor or self._log.newest_cursor()

        async def events() -> AsyncGenerator[Logged, None]:
            async for logged in self._log.watch(where, cursor=cursor):
                yield logged

        await context.send_initial_metadata(())
        async for logged in self._lasting.follow(events()):
            yield events_pb2.WatchEventsResponse(event=_message(logged), cursor=logged.cursor)

    async def ListEvents(  # noqa: N802
        self, request: events_pb2.ListEventsRequest, context: Any
    ) -> events_pb2.ListEventsResponse:
        """A page of past events, oldest first."""
        where = _filter(
            request.filter,
            start_s=_time(request, "start_time"),
            end_s=_time(request, "end_time"),
        )
        try:
            page = await self._log.list(
                where, cursor=request.page_token, limit=page_size(request.page_size)
            )
        except FieldViolation as violation:
            raise FieldViolation("page_token", violation.description) from None
        return events_pb2.ListEventsResponse(
            events=[_message(logged) for logged in page.events],
            next_page_token=page.cursor if page.more else "",
            cursor=page.cursor,
        )

    async def ReportVerdict(  # noqa: N802
        self, request: events_pb2.ReportVerdictRequest, context: Any
    ) -> events_pb2.ReportVerdictResponse:
        """Keep what an operator says of an episode."""
        wanted = request.verdict
        wrong: list[FieldViolation] = []
        if not 0 < len(wanted.episode_id) <= MAX_EPISODE_ID or not wanted.episode_id.isascii():
            wrong.append(FieldViolation("verdict.episode_id", "use the episode_id of an event"))
        if wanted.value not in _VALUES:
            wrong.append(FieldViolation("verdict.value", "use CORRECT, WRONG or UNCLEAR"))
        if len(wanted.note) > MAX_NOTE:
            wrong.append(FieldViolation("verdict.note", f"at most {MAX_NOTE} characters"))
        if wrong:
            raise InvalidRequest(wrong)
        verdict = await self._verdicts.report(
            wanted.episode_id,
            _VALUES[wanted.value],
            note=wanted.note,
            operator=CALLER.get().name,
        )
        return events_pb2.ReportVerdictResponse(verdict=verdict_message(verdict))

    async def ListVerdicts(  # noqa: N802
        self, request: events_pb2.ListVerdictsRequest, context: Any
    ) -> events_pb2.ListVerdictsResponse:
        """A page of verdicts, newest first."""
        for field in ("stream_ids", "event_types"):
            if len(getattr(request, field)) > MAX_FILTER_VALUES:
                raise FieldViolation(field, f"at most {MAX_FILTER_VALUES} values")
        last = read_token(request.page_token)
        if last and not last.isdecimal():
            raise FieldViolation("page_token", "is not a next_page_token of an earlier page")
        limit = page_size(request.page_size)
        where = VerdictFilter(
            stream_ids=frozenset(request.stream_ids),
            event_types=frozenset(request.event_types),
            start_s=_time(request, "start_time"),
            end_s=_time(request, "end_time"),
        )
        found = await self._verdicts.list(where, before=int(last or 0), limit=limit)
        more = len(found) == limit
        return events_pb2.ListVerdictsResponse(
            verdicts=[verdict_message(verdict) for verdict in found],
            next_page_token=write_token(str(found[-1].number)) if more else "",
        )


def _time(request: Any, field: str) -> float | None:
    """UTC seconds of a field that may be absent. Raises FieldViolation."""
    return utc_s(getattr(request, field), field=field) if request.HasField(field) else None


def _message(logged: Logged) -> events_pb2.Event:
    return event_message(
        logged.event, event_seq=logged.event_seq, published_at_s=logged.published_at_s
    )


def _filter(
    message: events_pb2.EventFilter, *, start_s: float | None = None, end_s: float | None = None
) -> EventFilter:
    """Which events are asked for. Raises InvalidRequest naming the filter's fields."""
    wrong: list[FieldViolation] = []
    if any(phase not in _PHASES for phase in message.phases):
        wrong.append(FieldViolation("phases", "use NEW, UPDATE and END"))
    if not (math.isfinite(message.min_score) and 0 <= message.min_score <= 1):
        wrong.append(FieldViolation("min_score", "must be from 0 to 1"))
    wrong += [
        FieldViolation(field, f"at most {MAX_FILTER_VALUES} values")
        for field in _REPEATED
        if len(getattr(message, field)) > MAX_FILTER_VALUES
    ]
    if wrong:
        raise within("filter", InvalidRequest(wrong))
    return EventFilter(
        stream_ids=frozenset(message.stream_ids),
        types=frozenset(message.types),
        phases=frozenset(_PHASES[phase] for phase in message.phases),
        rule_ids=frozenset(message.rule_ids),
        classes=frozenset(message.classes),
        min_score=message.min_score,
        labels=dict(message.labels),
        attributes=dict(message.attributes),
        start_s=start_s,
        end_s=end_s,
    )

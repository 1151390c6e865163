"""The live page for operators, and what it asks for: streams, events, figures, one stream's picture."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec
from aiohttp import web

from vigil.api.guard import RULES, Caller, Guard
from vigil.api.past import MAX_EPISODE_ID, Past
from vigil.api.secrets import shown_uri
from vigil.clock import Clock
from vigil.data import StreamState
from vigil.errors import FieldViolation, Forbidden, VigilError
from vigil.events.log import Logged
from vigil.fleet.contract import Fleet, Stream
from vigil.metrics.recent import Recent

_PAGE = Path(__file__).parent / "page"
_FILES = {  # all of it: nothing is fetched from elsewhere
    "/": ("index.html", "text/html"),
    "/console.css": ("console.css", "text/css"),
    "/console.js": ("console.js", "text/javascript"),
}
# Nothing but our own script and style; pictures are made of what the script has fetched.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_STREAMS, MOST_EVENTS = 100, 100  # of one answer
PICTURE_PX = 960
WINDOW_S = 300.0  # that the figure of latency is about
_WORST_FIRST = (
    StreamState.OFFLINE,
    StreamState.DEGRADED,
    StreamState.CONNECTING,
    StreamState.PENDING,
    StreamState.ONLINE,
    StreamState.DISABLED,
)
_ASKED = "/vigil.v1.StreamService/ListStreams"  # whose rule the page's data have
_PICTURE = "/vigil.v1.SnapshotService/GetSnapshot"
_EVENT_PICTURE = "/vigil.v1.SnapshotService/GetEventSnapshot"

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of the whole service, to those who may see all of it."""

    model: str
    device: str  # empty while there is no engine
    precision: str
    form: str
    outbox_events: int
    redis: str  # connected, or why not
    troubles: Sequence[str]


class Service(Protocol):
    """What a service says of itself; times and counts are those of this moment."""

    def figures(self) -> Figures:
        """Of its parts."""

    def latencies(self) -> dict[float, float]:
        """How many events took up to so many seconds from capture to Redis, since the start."""


class StreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as the page lists it. Times are UTC seconds."""

    id: str
    state: str
    since_s: float
    reason: str
    detail: str
    next_retry_s: float | None
    uri: str
    width_px: int
    height_px: int
    source_fps: float
    analysed_fps: float
    detect_fps: float
    reconnects: int
    run: int
    rules: int
    labels: dict[str, str]


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the page lists it."""

    id: str
    at_s: float  # UTC
    stream: str
    type: str
    phase: str
    rule: str
    class_name: str
    score: float | None
    picture: str  # of which episode there is one; empty: none


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: all that the page shows at a time."""

    now_s: float
    ready: bool
    caller: str
    states: dict[str, int]  # of all streams of the caller
    matching: int  # streams, of which `streams` are a part
    streams: list[StreamRow]
    events: list[EventRow]  # newest last
    missed: int  # events that came and went between two answers
    cursor: str
    analysed_fps: float
    latency_p95_s: float | None = None
    latency_window_s: float = 0.0
    figures: Figures | None = None


class Console:
    """Routes of the HTTP server. The page itself is open; what it asks for needs what gRPC would ask for."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        past: Past,
        guard: Guard,
        service: Service,
        ready: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._past = past
        self._guard = guard
        self._service = service
        self._ready = ready
        self._latency = Recent(WINDOW_S)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve it."""
        for path, (name, kind) in _FILES.items():
            router.add_get(path, _file(name, kind))
        router.add_get("/console/view", self._answering(_ASKED, self._view))
        router.add_get("/console/picture", self._answering(_PICTURE, self._picture))
        router.add_get(
            "/console/event-picture", self._answering(_EVENT_PICTURE, self._event_picture)
        )

    def _answering(
        self, rpc: str, answer: Callable[[web.Request, Caller], Awaitable[web.Response]]
    ) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                response = await answer(request, self._caller(request, rpc))
            except VigilError as error:
                response = web.Response(status=_STATUS.get(error.code, 500), text=f"{error}\n")
            response.headers.update(HEADERS)
            return response

        return handle

    def _caller(self, request: web.Request, rpc: str) -> Caller:
        """Who asks. Raises Unauthenticated, Forbidden."""
        given = request.headers.getall("Authorization", [])
        caller = self._guard.caller(given[0] if len(given) == 1 else "")
        if not (caller.name or request.secure or _names_itself(request.host)):
            # Without tokens, whoever reaches the port may ask: so may a web page of any site, once its
            # name leads to this machine (DNS rebinding). It cannot change what its browser calls us.
            raise Forbidden("ask by address or as localhost, or have tokens: `vigil token add`")
        if not caller.role.includes(RULES[rpc].role):
            raise Forbidden(f"this needs a token of role {RULES[rpc].role}, yours is {caller.role}")
        return caller

    async def _view(self, request: web.Request, caller: Caller) -> web.Response:
        query = request.query
        wanted = frozenset(query.get("states", "").split(",")) - {""}
        text = query.get("text", "").lower()
        limit, offset = _number(query, "limit", MOST_STREAMS), _number(query, "offset", 10**6)
        streams = [
            stream
            for stream in self._fleet.list(after="", limit=10**6)
            if caller.may_see(stream.spec.stream_id)
        ]
        matching = [
            stream
            for stream in streams
            if (not wanted or stream.status.state.value in wanted) and _mentions(stream, text)
        ]
        matching.sort(key=_worst_first)
        events, missed, cursor = await self._events(query.get("cursor", ""), caller)
        view = View(
            now_s=self._clock.utc_s(),
            ready=self._ready(),
            caller=caller.name,
            states=Counter(stream.status.state.value for stream in streams),
            matching=len(matching),
            streams=[_row(stream) for stream in matching[offset : offset + limit]],
            events=events,
            missed=missed,
            cursor=cursor,
            analysed_fps=sum(stream.status.analysed_fps for stream in streams),
        )
        if not caller.prefixes:  # figures are about all streams
            now_s = self._clock.monotonic_s()
            p95_s, window_s = self._latency.quantile(0.95, self._service.latencies(), now_s)
            view = msgspec.structs.replace(
                view,
                latency_p95_s=p95_s,
                latency_window_s=window_s,
                figures=self._service.figures(),
            )
        return web.Response(body=msgspec.json.encode(view), content_type="application/json")

    async def _events(self, cursor: str, caller: Caller) -> tuple[list[EventRow], int, str]:
        # Among others' events a tenant's are few: more are looked at, and how many are no concern of theirs.
        limit = MOST_EVENTS * (10 if caller.prefixes else 1)
        page, missed = await self._past.log.newest(after=cursor, limit=limit)
        seen = [_event_row(each) for each in page.events if caller.may_see(each.event.stream_id)]
        return seen[-MOST_EVENTS:], 0 if caller.prefixes else missed, page.cursor

    async def _picture(self, request: web.Request, caller: Caller) -> web.Response:
        stream_id = request.query.get("stream", "")
        if not caller.may_see(stream_id):
            raise Forbidden("the token is for other streams")
        shot = await self._fleet.snapshot(stream_id, annotated=True, max_width_px=PICTURE_PX)
        return web.Response(body=shot.jpeg, content_type="image/jpeg")

    async def _event_picture(self, request: web.Request, caller: Caller) -> web.Response:
        episode_id = request.query.get("episode", "")[:MAX_EPISODE_ID]
        stream_id = await self._past.verdicts.stream_of(episode_id)
        if caller.prefixes and (stream_id is None or not caller.may_see(stream_id)):
            raise Forbidden("the token is for other streams")
        _, jpeg = await self._past.picture(episode_id)
        return web.Response(body=jpeg, content_type="image/jpeg")


_STATUS = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}


def _file(name: str, kind: str) -> Handler:
    body = (_PAGE / name).read_bytes()

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)

    return handle


def _names_itself(host: str) -> bool:
    """Whether a Host header is an address or localhost: a name of somebody's could lead anywhere."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True


def _number(query: Mapping[str, str], name: str, most: int) -> int:
    """A whole number of a query, ``most`` at the most; for "limit" left out ``most``, for others 0."""
    text = query.get(name, str(most) if name == "limit" else "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FieldViolation(name, "is no whole number")
    return min(int(text), most)


def _mentions(stream: Stream, text: str) -> bool:
    """Whether a stream's id, address or labels hold a text; lower case."""
    if not text:
        return True
    spec = stream.spec
    words = (spec.stream_id, shown_uri(spec.source.uri), *spec.labels.values())
    return any(text in word.lower() for word in words)


def _worst_first(stream: Stream) -> tuple[int, str]:
    return _WORST_FIRST.index(stream.status.state), stream.spec.stream_id


def _row(stream: Stream) -> StreamRow:
    spec, status = stream.spec, stream.status
    return StreamRow(
        id=spec.stream_id,
        state=status.state.value,
        since_s=status.since_s,
        reason=status.reason.value if status.reason else "",
        detail=status.detail,
        next_retry_s=status.next_retry_s,
        uri=shown_uri(spec.source.uri),
        width_px=status.width_px,
        height_px=status.height_px,
        source_fps=status.source_fps,
        analysed_fps=status.analysed_fps,
        detect_fps=spec.detect_fps,
        reconnects=status.reconnects,
        run=status.run,
        rules=len(spec.rules),
        labels=spec.labels,
    )


def _event_row(logged: Logged) -> EventRow:
    event = logged.event
    return EventRow(
        id=event.event_id,
        at_s=event.occurred_at_s,
        stream=event.stream_id,
        type=event.type,
        phase=event.phase.value,
        rule=event.rule_id or "",
        class_name=event.class_name or "",
        score=event.score,
        picture=event.episode_id if event.snapshot else "",
    )

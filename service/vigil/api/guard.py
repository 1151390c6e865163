"""Which caller may make which call, about which streams. What is not listed here is nobody's to call."""

from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from vigil.errors import Forbidden, Unauthenticated
from vigil.store.tokens import Role, TokenFile

OPEN = ("/grpc.health.v1.Health/",)  # says nothing but whether the service works
_ANYONE = ("/grpc.reflection.",)  # any role: the contract is no secret from those who have a token

# stream: the request names one stream. episode: it names an event's, whose stream is looked up.
# listed: the answer is cut to the caller's streams.
# none: about no stream. whole: about all streams, for callers who may see them all.
Scope: TypeAlias = Literal["stream", "episode", "listed", "none", "whole"]
StreamOf: TypeAlias = Callable[[str], Awaitable[str | None]]
"""The stream that an episode happened on; None where no event of it is kept."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``prefixes`` of stream ids are theirs; none: all streams."""

    name: str
    role: Role
    prefixes: tuple[str, ...] = ()

    def may_see(self, stream_id: str) -> bool:
        """Whether a stream is theirs."""
        return not self.prefixes or stream_id.startswith(self.prefixes)


EVERYBODY = Caller("", Role.ADMIN)  # where no token is asked for
CALLER: ContextVar[Caller] = ContextVar("caller", default=EVERYBODY)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a call needs. ``named`` reads which stream (or episode) a request is about; None: none."""

    role: Role
    scope: Scope
    named: Callable[[Any], str | None] = lambda request: None


def _of_spec(request: Any) -> str | None:
    return str(request.spec.stream_id)


def _of_request(request: Any) -> str | None:
    return str(request.stream_id)


def _of_first(request: Any) -> str | None:
    return str(request.stream.stream_id) if request.WhichOneof("message") == "stream" else None


def _of_episode(request: Any) -> str | None:
    return str(request.episode_id)


def _of_verdict(request: Any) -> str | None:
    return str(request.verdict.episode_id)


RULES = {
    "/vigil.v1.StreamService/AddStream": Rule(Role.ADMIN, "stream", _of_spec),
    "/vigil.v1.StreamService/UpdateStream": Rule(Role.ADMIN, "stream", _of_spec),
    "/vigil.v1.StreamService/RemoveStream": Rule(Role.ADMIN, "stream", _of_request),
    "/vigil.v1.StreamService/GetStream": Rule(Role.VIEWER, "stream", _of_request),
    "/vigil.v1.StreamService/ListStreams": Rule(Role.VIEWER, "listed"),
    "/vigil.v1.StreamService/WatchStreams": Rule(Role.VIEWER, "listed"),
    "/vigil.v1.StreamService/GetBaseline": Rule(Role.VIEWER, "stream", _of_request),
    "/vigil.v1.EventService/WatchEvents": Rule(Role.VIEWER, "listed"),
    "/vigil.v1.EventService/ListEvents": Rule(Role.VIEWER, "listed"),
    "/vigil.v1.EventService/ReportVerdict": Rule(Role.OPERATOR, "episode", _of_verdict),
    "/vigil.v1.EventService/ListVerdicts": Rule(Role.VIEWER, "listed"),
    "/vigil.v1.AnalysisService/DetectImage": Rule(Role.OPERATOR, "none"),
    "/vigil.v1.AnalysisService/ClassifyImage": Rule(Role.OPERATOR, "none"),
    "/vigil.v1.AnalysisService/AnalyzeFrames": Rule(Role.OPERATOR, "stream", _of_first),
    "/vigil.v1.SnapshotService/GetSnapshot": Rule(Role.VIEWER, "stream", _of_request),
    "/vigil.v1.SnapshotService/GetEventSnapshot": Rule(Role.VIEWER, "episode", _of_episode),
    "/vigil.v1.SnapshotService/ExplainDetection": Rule(Role.VIEWER, "stream", _of_request),
}


class Guard:
    """Judges every call of a server. Without tokens everybody may do everything."""

    def __init__(self, tokens: TokenFile | None = None) -> None:
        self._tokens = tokens

    def caller(self, authorization: str) -> Caller:
        """Who an Authorization header is of. Raises Unauthenticated."""
        if self._tokens is None or not self._tokens.required:
            return EVERYBODY
        scheme, _, secret = authorization.strip().partition(" ")
        token = self._tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Unauthenticated(
                "this service asks for a token, and none came that is known and still valid:"
                " `vigil token add` makes one, clients send it as a Bearer authorization"
            )
        return Caller(token.name, token.role, token.prefixes)

    def admit(self, path: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
        """The caller of a call that may be made at all. Raises Unauthenticated, Forbidden."""
        if path.startswith(OPEN):
            return EVERYBODY
        given = [value for key, value in metadata or () if key == "authorization"]
        # Two headers are nobody's: a proxy and we might each read another one.
        caller = self.caller(str(given[0]) if len(given) == 1 else "")
        if path.startswith(_ANYONE):
            return caller
        rule = RULES.get(path)
        if rule is None or not caller.role.includes(rule.role):
            needed = rule.role.value if rule else "no"
            raise Forbidden(f"this call needs a token of role {needed}, yours is {caller.role}")
        if rule.scope == "whole" and caller.prefixes:
            raise Forbidden("this call is about all streams, and the token is for some of them")
        return caller

    def check_request(self, path: str, caller: Caller, request: Any) -> None:
        """Judge which stream a request is about, whether or not there is one. Raises Forbidden."""
        rule = RULES.get(path)
        stream_id = rule.named(request) if rule and rule.scope == "stream" else None
        if stream_id and not caller.may_see(stream_id):
            raise _not_theirs(caller)

    async def check_episode(
        self, path: str, caller: Caller, request: Any, stream_of: StreamOf
    ) -> None:
        """Judge whose stream an episode that a request names happened on. Raises Forbidden.

        To a tenant an episode that is not kept is as another's: nothing is learnt by asking.
        """
        rule = RULES.get(path)
        if rule is None or rule.scope != "episode" or not caller.prefixes:
            return
        stream_id = await stream_of(rule.named(request) or "")
        if stream_id is None or not caller.may_see(stream_id):
            raise _not_theirs(caller)

    def changed_stream(self, path: str, request: Any) -> str | None:
        """The stream that a request changes; None for calls that change none."""
        rule = RULES.get(path)
        return rule.named(request) if rule and rule.role is Role.ADMIN else None

    def shown(self, path: str, caller: Caller, response: Any) -> Any:
        """The response with other tenants' streams left out; None where nothing is left to say."""
        rule = RULES.get(path)
        if not caller.prefixes or rule is None or rule.scope != "listed":
            return response
        fields = response.DESCRIPTOR.fields_by_name
        for name, read in (
            ("streams", _of_spec),
            ("events", _of_request),
            ("verdicts", _of_request),
        ):
            if name in fields:
                items = getattr(response, name)
                kept = [each for each in items if caller.may_see(read(each) or "")]
                del items[:]
                items.extend(kept)
                return response
        one = response.stream.spec.stream_id if "stream" in fields else response.event.stream_id
        return response if caller.may_see(one) else None


def _not_theirs(caller: Caller) -> Forbidden:
    mine = ", ".join(f"{prefix}..." for prefix in caller.prefixes)
    return Forbidden(f"the token is for streams whose ids begin with {mine}")

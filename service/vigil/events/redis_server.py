"""What a Redis server is like: its version, what it can do, and what in its settings may lose events."""

from typing import Any, Literal, NamedTuple, TypeAlias, cast

import redis.asyncio
from redis.exceptions import NoPermissionError, ResponseError

from vigil.events.trim import call

RiskKind: TypeAlias = Literal["eviction", "persistence", "unchecked"]
RISK_KINDS: tuple[RiskKind, ...] = ("eviction", "persistence", "unchecked")


class Risk(NamedTuple):
    """Something in the server's settings that may lose events which it acknowledged."""

    kind: RiskKind
    text: str  # what it is, and what to do


class Server(NamedTuple):
    """What was found out about the server."""

    version: str
    scripts: bool  # it runs ours
    idempotent: bool  # it knows XADD … IDMP (Redis 8.6): copies of an event vanish there
    risks: tuple[Risk, ...]


async def look(client: "redis.asyncio.Redis", *, key: str, scripts: bool) -> Server:
    """Look at a server. Raises RedisError or OSError."""
    info = await _info(client)
    return Server(
        version=str(info.get("redis_version", "unknown")),
        scripts=scripts,
        idempotent=await _knows_idempotence(client, key),
        risks=risks_of(info),
    )


async def look_for_risks(client: "redis.asyncio.Redis") -> tuple[Risk, ...]:
    """The risks alone: an operator may change them while we are connected."""
    return risks_of(await _info(client))


def risks_of(info: dict[str, Any]) -> tuple[Risk, ...]:
    """What INFO says of eviction and persistence; empty INFO: the user may not call it."""
    if not info:
        return (
            Risk(
                "unchecked",
                "this user may not call INFO: eviction and persistence are not checked; allow +info",
            ),
        )
    risks = []
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        risks.append(
            Risk(
                "eviction",
                f"Redis evicts keys when it is full (maxmemory-policy {policy}), the whole event stream"
                " at once: set maxmemory-policy noeviction",
            )
        )
    if not info.get("aof_enabled"):
        risks.append(
            Risk(
                "persistence",
                "Redis keeps no append-only file: a crash of it loses events that it acknowledged; set"
                " appendonly yes",
            )
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        risks.append(
            Risk(
                "persistence",
                "Redis cannot write its append-only file: free space on its disk, see its log",
            )
        )
    return tuple(risks)


async def _info(client: "redis.asyncio.Redis") -> dict[str, Any]:
    try:
        return cast(dict[str, Any], await cast(Any, client).info())
    except NoPermissionError:
        return {}


async def _knows_idempotence(client: "redis.asyncio.Redis", key: str) -> bool:
    """Try it where it leaves no trace: NOMKSTREAM on a key that does not exist adds nothing."""
    try:
        await call(
            client, "XADD", f"{key}:none", "NOMKSTREAM", "IDMP", "vigil", "0", "*", "probe", "0"
        )
    except ResponseError:
        return False
    return True

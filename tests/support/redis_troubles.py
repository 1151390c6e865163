"""Ways in which a real Redis fails its clients: each begins, lasts while it is suspended, and ends."""

from collections.abc import Iterator

import redis

from vigil.events.embedded import EmbeddedRedis


def hung(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


def locked(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("requirepass", "changed")
    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    admin.config_set("requirepass", "")


def read_only(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    admin.execute_command("REPLICAOF", "NO", "ONE")


def full(server: EmbeddedRedis, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("maxmemory", "100kb")
    yield
    admin.config_set("maxmemory", "0")

"""The configuration: one TOML file, each key overridable by ``VIGIL_SECTION__KEY``, read once.

`load` gives frozen values or raises `InvalidConfig` naming the key. Units are in the keys' names.
"""

import difflib
import importlib.util
import ipaddress
import json
import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from vigil.errors import InvalidConfig

ENV_PREFIX = "VIGIL_"
MIB = 1024 * 1024

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e9)]  # the bound keeps inf and nan out
Lapse: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file: every key has a default."""


class GrpcConfig(Section, frozen=True, kw_only=True):
    """The gRPC server."""

    address: str = "127.0.0.1:50051"  # port 0: any free one
    reflection: bool = False
    max_message_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=1024 * MIB)] = 16 * MIB
    max_concurrent_streams: Count = 256  # calls at once on one connection
    max_connections: Count = 1024  # at once; further ones are closed
    max_watchers: Count = 256  # WatchStreams and WatchEvents calls at once, all clients together
    keepalive_s: Seconds = 30.0
    grace_s: Lapse = 5.0  # of a stop; calls in hand may have three quarters of it


class HttpConfig(Section, frozen=True, kw_only=True):
    """Metrics, health and the live page over HTTP."""

    address: str = "127.0.0.1:9464"
    console: bool = True  # the live page, at /
    max_connections: Count = 256  # at once; further ones are closed


class TlsConfig(Section, frozen=True, kw_only=True):
    """Encryption of both servers; needed beyond loopback. PEM files, read again when they change."""

    cert: str = ""  # the chain, the server's own first
    key: str = ""
    client_ca: str = ""  # if given, clients need a certificate that these signed


class StateConfig(Section, frozen=True, kw_only=True):
    """Where the stream registry and the event log are kept (SQLite)."""

    path: str = "./state"


class RedisConfig(Section, frozen=True, kw_only=True):
    """Where events are published."""

    url: str = "redis://127.0.0.1:6379/0"  # or "embedded": a real server that vigil runs itself
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9:_-]{0,62}$")] = "vigil"


class ModelConfig(Section, frozen=True, kw_only=True):
    """The detector and the device that it runs on."""

    name: str = ""  # empty: vigil-det-n on a CPU, vigil-det-s on CUDA
    device: Annotated[str, msgspec.Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    folder: str = ""  # where the models lie; empty: those that came with vigil


class EngineConfig(Section, frozen=True, kw_only=True):
    """How frames are batched."""

    max_batch: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    linger_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    max_staleness_s: Seconds = 1.0
    # of a CPU; 0: as many as it has, up to 8
    threads: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    classifiers: tuple[str, ...] = ()  # models that ClassifyImage and second stages may name


MOST_LANES = 8  # by default; what is left of Python in a batch lets no more run at once


def engine_threads(wanted: int) -> int:
    """How many threads infer on a CPU: as many as wanted, or one a core that this process may use, up to 8.

    Each infers batches of its own, so that they take what the decoders leave of any core.
    """
    return wanted or min(MOST_LANES, len(os.sched_getaffinity(0)))


def shared_threads(wanted: int) -> int:
    """How many threads share an operation of a model that is not ours: as many as wanted, or half the cores.

    Threads that share an operation wait for each other at its end, so that one of them without a core
    holds up both (measured: DECISIONS.md).
    """
    return wanted or max(1, len(os.sched_getaffinity(0)) // 2)


class HostsConfig(Section, frozen=True, kw_only=True):
    """How streams are spread over processes."""

    streams_per_host: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    # of private memory a host; 0: 1 GiB, and 256 MiB a stream
    memory_limit_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_streams: Count = 256  # that run
    max_registered: Count = 1024  # disabled ones with them: each has series in Prometheus
    # of the cores, that streams may use: AddStream is refused beyond it; 0: never
    max_load: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.9
    user: str = ""  # whom hosts run as, where the service is root; empty: as the service


class CaptureConfig(Section, frozen=True, kw_only=True):
    """How cameras are opened."""

    backend: Literal["opencv", "pyav"] = "opencv"  # of streams that name none
    open_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 5.0
    read_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 5.0


class SourcesConfig(Section, frozen=True, kw_only=True):
    """Where pictures may come from."""

    file_roots: tuple[str, ...] = ()  # folders that file and folder sources must lie in
    allow_hosts: tuple[str, ...] = ()  # names, *.suffix, addresses; if any, no other may be named
    allow_networks: tuple[str, ...] = ()  # if any, no other address is connected to
    deny_networks: tuple[str, ...] = ()  # beyond those that are always denied; see docs/security.md


class SecretsConfig(Section, frozen=True, kw_only=True):
    """What a stream's ``secret_ref`` may name; nothing unless said here."""

    env: tuple[str, ...] = ()  # variables of the service's environment; * stands for any characters
    file_roots: tuple[str, ...] = ()  # folders that files with secrets must lie in


class EventsConfig(Section, frozen=True, kw_only=True):
    """How long events are kept, in Redis and in the event log."""

    retention_s: Seconds = 7 * 86400.0
    max_bytes: Annotated[int, msgspec.Meta(ge=MIB)] = 1024 * MIB


class SnapshotsConfig(Section, frozen=True, kw_only=True):
    """Pictures of events, for streams that ask for them. They show people: see docs/snapshots.md."""

    enabled: bool = False
    retention_s: Seconds = 7 * 86400.0
    max_bytes: Annotated[int, msgspec.Meta(ge=MIB)] = 1024 * MIB
    max_width_px: Annotated[int, msgspec.Meta(ge=64, le=4096)] = 1280  # wider ones are made smaller


class GoldenConfig(Section, frozen=True, kw_only=True):
    """Labelled clips played as a virtual camera, so that accuracy is measured while it runs."""

    enabled: bool = True
    interval_s: Seconds = 6 * 3600.0  # from the end of a round to the next
    first_after_s: Lapse = 300.0  # from the service's start
    folder: str = ""  # the site's own clips, see docs/accuracy.md; empty: two that vigil renders


class TracesConfig(Section, frozen=True, kw_only=True):
    """OpenTelemetry traces of sampled frames and calls; they need the extra ``traces``."""

    endpoint: str = ""  # of an OTLP receiver, such as http://127.0.0.1:4317; empty: no traces
    protocol: Literal["grpc", "http"] = "grpc"
    # of the frames that go to the engine, and of the calls that bring no trace of their own
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01


class LogConfig(Section, frozen=True, kw_only=True):
    """What is logged, on stderr."""

    format: Literal["json", "console"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, a field for each table of the file."""

    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig = HttpConfig()
    tls: TlsConfig = TlsConfig()
    state: StateConfig = StateConfig()
    redis: RedisConfig = RedisConfig()
    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    hosts: HostsConfig = HostsConfig()
    capture: CaptureConfig = CaptureConfig()
    sources: SourcesConfig = SourcesConfig()
    secrets: SecretsConfig = SecretsConfig()
    events: EventsConfig = EventsConfig()
    snapshots: SnapshotsConfig = SnapshotsConfig()
    golden: GoldenConfig = GoldenConfig()
    traces: TracesConfig = TracesConfig()
    log: LogConfig = LogConfig()


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the file (none: defaults), apply the environment's overrides and check the whole.

    Raises InvalidConfig naming the file or variable, the key and what to write instead.
    """
    config = Config()
    if path is not None:
        for section, key, value in _file_items(path):
            config = _with(config, section, key, value, strict=True, origin=str(path))
    for name in sorted(environ):
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            config = _with(config, section, key, environ[name], strict=False, origin=name)
    check(config)
    return config


def check(config: Config) -> None:
    """Refuse what single values cannot show. Raises InvalidConfig."""
    for key, address in (
        ("grpc.address", config.grpc.address),
        ("http.address", config.http.address),
    ):
        try:
            host, _ = split_address(address)
        except ValueError as error:
            raise InvalidConfig(f"{key}: {error}") from None
        if not is_loopback(host) and not config.tls.cert:
            raise InvalidConfig(
                f"{key} is {address!r}: listening beyond loopback needs TLS and an authentication"
                " method; set tls.cert and tls.key, and make a token (`vigil token add`) or set"
                " tls.client_ca"
            )
    if bool(config.tls.cert) != bool(config.tls.key) or (
        config.tls.client_ca and not config.tls.cert
    ):
        raise InvalidConfig("tls.cert and tls.key go together, and tls.client_ca with both")
    _check_networks(config.sources)
    if config.capture.backend == "pyav" and not pyav_installed():
        raise InvalidConfig("capture.backend: PyAV is not installed: pip install 'vigil[video]'")
    _check_traces(config.traces)
    url = config.redis.url
    if url != "embedded" and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise InvalidConfig(
            'redis.url: write redis://host:port/0, rediss://…, unix://… or "embedded"'
        )


def pyav_installed() -> bool:
    """Whether sources can be opened by PyAV, which is an extra; it is not loaded."""
    return importlib.util.find_spec("av") is not None


def traces_installed() -> bool:
    """Whether traces can be sent, which takes an extra; it is not loaded."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        return False


def _check_traces(traces: TracesConfig) -> None:
    if not traces.endpoint:
        return
    try:
        parts = urlsplit(traces.endpoint)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
    except ValueError:
        parts, known = None, False
    if parts is None or not known or (parts.path.strip("/") and traces.protocol == "grpc"):
        raise InvalidConfig(
            "traces.endpoint: write http://host:4317 (https:// for TLS; port 4318 where"
            ' traces.protocol is "http")'
        )
    if "@" in parts.netloc or parts.query:
        raise InvalidConfig(
            "traces.endpoint: holds a login; give it in OTEL_EXPORTER_OTLP_HEADERS instead"
        )
    if not traces_installed():
        raise InvalidConfig(
            "traces.endpoint: OpenTelemetry is not installed: pip install 'vigil[traces]'"
        )


def _check_networks(sources: SourcesConfig) -> None:
    for key in ("allow_networks", "deny_networks"):
        for text in getattr(sources, key):
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise InvalidConfig(
                    f"sources.{key}: {text!r} is no network; write 192.168.1.0/24, 2001:db8::/32 or"
                    " an address"
                ) from None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``. Raises ValueError with what to write."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.path or parts.username is not None:
        raise ValueError(f"{address!r} is no address; write host:port, such as 127.0.0.1:50051")
    return host, port


def is_loopback(host: str) -> bool:
    """Whether a host is this machine only: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listens_on_loopback(config: Config) -> bool:
    """Whether nobody beyond this machine can ask the service for anything."""
    addresses = (config.grpc.address, config.http.address)
    return all(is_loopback(split_address(address)[0]) for address in addresses)


def redacted_url(url: str) -> str:
    """A URL without user, password and query, for people to read.

    Cuts at the last @ of the text: a password may hold / or @ that nobody escaped.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    _, at, place = rest.rpartition("@")
    place, mark, _ = place.partition("?")
    return f"{scheme}://{'***@' if at else ''}{place}{'?***' if mark else ''}"


def to_toml(config: Config) -> str:
    """The effective configuration as the file that would give it, secrets redacted."""
    lines: list[str] = []
    for section in Config.__struct_fields__:
        lines.append(f"[{section}]")
        table = getattr(config, section)
        for key in table.__struct_fields__:
            value = getattr(table, key)
            if (section, key) == ("redis", "url"):
                value = redacted_url(value)
            # JSON's strings, numbers, booleans and flat lists are TOML's, too.
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        lines.append("")
    return "\n".join(lines)


def _file_items(path: Path) -> list[tuple[str, str, object]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path}: is not TOML: {error}") from error
    items: list[tuple[str, str, object]] = []
    for section, table in document.items():
        if not isinstance(table, dict):
            _known(section, Config.__struct_fields__, origin=str(path), label="table")
            raise InvalidConfig(f"{path}: {section} is a table; write [{section}] above its keys")
        # An unknown table is an error even where it is empty.
        _known(section, Config.__struct_fields__, origin=str(path), label="table")
        items.extend((section, key, value) for key, value in table.items())
    return items


def _with(
    config: Config, section: str, key: str, value: object, *, strict: bool, origin: str
) -> Config:
    """The configuration with one value replaced; strict: typed as TOML has it, else text."""
    _known(section, Config.__struct_fields__, origin=origin, label="table")
    table = getattr(config, section)
    _known(key, table.__struct_fields__, origin=origin, label=f"key of [{section}]")
    kind = typing.get_type_hints(type(table), include_extras=True)[key]
    if not strict and typing.get_origin(kind) is tuple:
        separator = ":" if key == "file_roots" else ","  # paths as in PATH; addresses hold colons
        value = [part.strip() for part in str(value).split(separator) if part.strip()]
    try:
        converted = msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"{origin}: {section}.{key}: {error}") from None
    return msgspec.structs.replace(
        config, **{section: msgspec.structs.replace(table, **{key: converted})}
    )


def _known(name: str, known: tuple[str, ...], *, origin: str, label: str) -> None:
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise InvalidConfig(f"{origin}: unknown {label} {name!r}; did you mean {nearest!r}?")

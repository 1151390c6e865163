"""Checks of vigil's own parts: access, sources, state, Redis, model, decoder, a service that runs."""

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vigil.app import (
    ADDRESSES_FILE,
    Addresses,
    classifier_manifests,
    event_settings,
    model_name,
    models_dir,
    security,
)
from vigil.config import Config, redacted_url
from vigil.doctor.finding import Finding, ok, problem, warning
from vigil.errors import InvalidConfig, Unavailable, VigilError
from vigil.events.embedded import find_server
from vigil.events.redis_probe import probe
from vigil.fleet.child import check_user
from vigil.host.environment import set_environment
from vigil.store.inspection import Condition, inspect
from vigil.vision.manifest import load_manifest, verify

CLOCKS_APART_S = 2.0
_HEALTH_TIMEOUT_S = 5.0


def check_access(config: Config) -> Iterator[Finding]:
    """Who may ask: certificates, tokens; and as whom hosts run."""
    try:
        check_user(config.hosts.user)
        found = security(config, Path(config.state.path))
    except InvalidConfig as error:
        yield problem("access", "the service would not start", str(error))
        return
    guarded = "with TLS" if found.certificates else "on this machine only, without TLS"
    yield ok("access", f"{config.grpc.address} {guarded}")


def check_sources(config: Config) -> Iterator[Finding]:
    """Folders that files may be played from."""
    for root in config.sources.file_roots:
        if not os.access(root, os.R_OK | os.X_OK):
            yield warning(
                "sources",
                f"sources.file_roots: {root} is missing or cannot be read",
                "make it, give this user the right to read it, or take it out",
            )
    if config.capture.backend == "pyav":
        import importlib.util

        if importlib.util.find_spec("av") is None:
            yield problem(
                "sources",
                'capture.backend is "pyav", and PyAV is not installed',
                "pip install 'vigil[video]', or set capture.backend to \"opencv\"",
            )


def check_state(condition: Condition | VigilError, config: Config) -> Iterator[Finding]:
    """The registry and the event log."""
    path = config.state.path
    if isinstance(condition, VigilError):
        yield problem("state", "the service would not start", str(condition))
    elif not condition.schema:
        yield ok("state", f"{path} holds nothing yet")
    elif condition.older:
        yield warning(
            "state",
            f"{path} is of an older version; the next start brings it up to date, and there is no way"
            " back but a backup",
            "`vigil backup save FILE` before you start",
        )
    else:
        yield ok("state", f"{path} is sound: {condition.streams} streams")


def look_at_state(config: Config) -> Condition | VigilError:
    """What `check_state` judges."""
    try:
        return inspect(Path(config.state.path))
    except VigilError as error:
        return error


def check_redis(config: Config) -> Iterator[Finding]:
    """Whether events will get there and stay there."""
    if config.redis.url == "embedded":
        try:
            yield ok("redis", f"embedded: {find_server()}")
        except Unavailable as error:
            yield problem("redis", "no server to embed", str(error))
        return
    try:
        found = asyncio.run(probe(config.redis.url, event_settings(config)))
    except Unavailable as error:
        yield problem(
            "redis",
            f"{redacted_url(config.redis.url)} cannot be used: {error}",
            "start it, or set redis.url; until then events wait on disk",
        )
        return
    server = found.server
    said = f"{redacted_url(config.redis.url)} answers, version {server.version}"
    if found.refuses:
        yield problem(
            "redis",
            f"{said}, and takes no events: {found.refuses}",
            "needs a primary of version 6.2 or newer, with room, and a user who may XADD to"
            f" {event_settings(config).key}; docs/deploying.md shows its rights",
        )
    else:
        yield ok("redis", said + (", knows XADD … IDMP" if server.idempotent else ""))
    for risk in server.risks:
        text, _, advice = risk.text.rpartition("; " if "; " in risk.text else ": ")
        yield warning("redis", text, advice)
    if abs(found.ahead_s) > CLOCKS_APART_S:
        yield warning(
            "clock",
            f"Redis' clock is {found.ahead_s:+.1f} s from this machine's: retention is by its clock",
            "synchronise both by NTP",
        )


def check_model(config: Config) -> Iterator[Finding]:
    """The weights, of the detector and of classifiers, are those that their manifests name."""
    folder = models_dir(config)
    try:
        detector = load_manifest(model_name(config), models_dir=folder)
        for manifest in (detector, *classifier_manifests(config).values()):
            verify(manifest)
            yield ok("model", f"{manifest.name} in {folder} is intact")
    except VigilError as error:
        yield problem("model", "the service would not start", str(error))


def check_decoder() -> Iterator[Finding]:
    """Reads a clip, and gives a silent camera up in time."""
    set_environment()  # before cv2 is loaded
    from vigil.host.selftest import test_decoder

    found = test_decoder()
    for each in found:
        yield problem(
            "decoder",
            each,
            "install opencv-python-headless as constraints.txt has it, and no other OpenCV beside it",
        )
    if not found:
        yield ok("decoder", "reads, and its time-outs act")


def check_service(config: Config, *, running: bool) -> Iterator[Finding]:
    """What a service that runs from this state says of itself."""
    path = Path(config.state.path) / ADDRESSES_FILE
    if not running:
        yield ok("service", "none runs from this state")
        return
    try:
        address = msgspec.json.decode(path.read_bytes(), type=Addresses).http
        scheme = "https" if config.tls.cert else "http"
        with urllib.request.urlopen(  # noqa: S310 - http(s) by the line above
            f"{scheme}://{address}/healthz", timeout=_HEALTH_TIMEOUT_S
        ) as answer:
            _, *troubles = answer.read().decode().splitlines()
    except (OSError, msgspec.DecodeError, urllib.error.URLError) as error:
        yield warning("service", f"one runs, and cannot be asked ({error})", "see its log")
        return
    for trouble in troubles:
        yield warning("service", trouble, "see docs/operating.md")
    if not troubles:
        yield ok("service", f"one runs and answers at {address}")

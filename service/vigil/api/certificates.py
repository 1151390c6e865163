"""The certificates that the servers show, read again when their files change."""

import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog

from vigil.config import TlsConfig
from vigil.errors import InvalidConfig

log = structlog.get_logger()

EXPIRES_SOON_S = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """One state of the files, seen to work."""

    stamp: tuple[int, ...]
    chain: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext
    expires_at_s: float  # UTC, the server's own


class Certificates:
    """Any thread may use it. A pair that does not work, half renewed perhaps, replaces none that does."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises InvalidConfig where the files cannot be used."""
        self._config = config
        self._lock = threading.Lock()
        self._failed: tuple[int, ...] = ()
        try:
            self._loaded = self._load()
        except (OSError, ssl.SSLError) as error:
            raise InvalidConfig(f"tls: {_names(config)} cannot be used: {error}") from None
        self._warn()

    def current(self) -> Loaded:
        """The files as they are, or as they last worked."""
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp not in (self._loaded.stamp, self._failed):
                    self._failed = stamp
                    self._loaded = self._load()
                    log.info("certificates_reloaded")
                    self._warn()
            except (OSError, ssl.SSLError) as error:
                log.error("certificates_unusable", error=str(error), kept="those before")
            return self._loaded

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server: asks for the current certificates at each handshake."""
        require = bool(self._config.client_ca)
        return grpc.dynamic_ssl_server_credentials(
            self._grpc_configuration(),
            self._grpc_configuration,
            require_client_authentication=require,
        )

    def http_context(self) -> ssl.SSLContext:
        """For an HTTP server: each handshake goes on with the current certificates."""
        first = self._load().context
        first.sni_callback = self._renew
        return first

    def _warn(self) -> None:
        """A certificate that is out of date is shown all the same: to stop would help nobody."""
        left_s = self._loaded.expires_at_s - time.time()
        if left_s < EXPIRES_SOON_S:
            log.warning(
                "certificate_expires", cert=self._config.cert, in_days=round(left_s / 86400, 1)
            )

    def _renew(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self.current().context

    def _grpc_configuration(self) -> Any:
        loaded = self.current()
        return grpc.ssl_server_certificate_configuration(
            [(loaded.key, loaded.chain)], root_certificates=loaded.client_ca
        )

    def _paths(self) -> list[Path]:
        config = self._config
        return [Path(each) for each in (config.cert, config.key, config.client_ca) if each]

    def _stamp(self) -> tuple[int, ...]:
        stats = [path.stat() for path in self._paths()]
        return tuple(
            each for stat in stats for each in (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        )

    def _load(self) -> Loaded:
        stamp = self._stamp()
        contents = [path.read_bytes() for path in self._paths()]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._config.cert, self._config.key)
        if self._config.client_ca:
            context.load_verify_locations(self._config.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        client_ca = contents[2] if self._config.client_ca else None
        # What ssl itself reads a peer's certificate with; it has no public name for one of our own.
        decoded = ssl._ssl._test_decode_cert(self._config.cert)  # type: ignore[attr-defined]
        expires_at_s = float(ssl.cert_time_to_seconds(decoded["notAfter"]))
        return Loaded(stamp, contents[0], contents[1], client_ca, context, expires_at_s)


def _names(config: TlsConfig) -> str:
    return ", ".join(each for each in (config.cert, config.key, config.client_ca) if each)

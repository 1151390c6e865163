"""Which hosts and addresses sources may be at. Nothing is resolved here.

An address is judged by the smallest network that holds it: of those that are always denied, of
``sources.deny_networks``, of ``sources.allow_networks``.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks or single addresses. Raises ValueError naming the one that is neither."""
    return tuple(ipaddress.ip_network(text, strict=True) for text in texts)


# What no camera is at: clouds give credentials to whoever asks here.
_METADATA = networks(
    (
        *("169.254.0.0/16", "fe80::/10"),  # link-local, most clouds' metadata services among it
        *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::254/128"),
    )
)
_NO_MACHINE = networks(
    ("0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "240.0.0.0/4", "255.255.255.255/32")
)
_LOOPBACK = networks(("127.0.0.0/8", "::1/128"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
# What inet_aton takes for an address: 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1.
_NUMERIC_HOST = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)(\.(0[xX][0-9A-Fa-f]*|[0-9]+))*\.?")


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Where sources may be. ``allow_loopback`` is for a service that only this machine can reach.

    ``allow_hosts`` are names, ``*.suffix`` and addresses; if there are any, only these may be written.
    ``allow_networks``, if there are any, are the only ones that addresses may be in, and may name a part
    of what is denied otherwise.
    """

    allow_hosts: tuple[str, ...] = ()
    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()
    allow_loopback: bool = True

    def host_problem(self, host: str) -> str | None:
        """What is wrong with a host as it is written; None where nothing shows before it is resolved."""
        address = literal(host)
        if address is None:
            if _NUMERIC_HOST.fullmatch(host):
                return "write the host's IPv4 address as four decimal numbers"
            if len(host) > 253 or not _HOST_NAME.fullmatch(host):
                return "its host is neither a name nor an address"
            if not self.allow_loopback and _is_localhost(host) and not self.allow_networks:
                return _LOOPBACK_REFUSED
        elif isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return "its host has a zone; link-local addresses are not allowed"
        if self.allow_hosts and not any(_matches(host, wanted) for wanted in self.allow_hosts):
            return "its host is not among sources.allow_hosts of the service's configuration"
        return None if address is None else self.address_problem(address)

    def address_problem(self, address: Address) -> str | None:
        """Why no connection may be made to an address; None where one may."""
        for one in _faces(address):
            problem = self._denied(one)
            if problem:
                return problem
        if self.allow_networks and not _smallest(_faces(address)[-1], self.allow_networks):
            return "its address is outside sources.allow_networks of the service's configuration"
        return None

    def _denied(self, address: Address) -> str | None:
        if _smallest(address, _NO_MACHINE):
            return "its host is no address of one machine"
        allowed = _smallest(address, self.allow_networks)
        denied = _smallest(address, self.deny_networks)
        if denied and denied >= allowed:
            return "its address is in sources.deny_networks of the service's configuration"
        if _smallest(address, _METADATA) > allowed:
            return "link-local and metadata addresses are not allowed"
        if not self.allow_loopback and _smallest(address, _LOOPBACK) > allowed:
            return _LOOPBACK_REFUSED
        return None


_LOOPBACK_REFUSED = "the service's own machine is not allowed: it listens beyond loopback"


def literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _faces(address: Address) -> tuple[Address, ...]:
    """An address and the IPv4 address within it, which is where it may lead; that one last."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    inner = address.sixtofour
    if address.teredo:
        inner = address.teredo[1]
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (address,) if inner is None else (address, inner)


def _smallest(address: Address, among: tuple[Network, ...]) -> int:
    """The prefix length of the smallest network that holds an address, plus 1; 0 where none does."""
    return max((network.prefixlen + 1 for network in among if address in network), default=0)


def _is_localhost(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")  # RFC 6761


def _matches(host: str, wanted: str) -> bool:
    name, wanted = host.lower().rstrip("."), wanted.lower().rstrip(".")
    if wanted.startswith("*."):
        return name.endswith(wanted[1:]) and len(name) > len(wanted) - 1
    address = literal(name)
    return name == wanted if address is None else address == literal(wanted.strip("[]"))

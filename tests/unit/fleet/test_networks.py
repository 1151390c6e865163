"""Where sources may be. The list is what clients would try."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.fleet.networks import NetworkPolicy, networks


def policy(**lists: Any) -> NetworkPolicy:
    loopback = lists.pop("allow_loopback", False)
    hosts = lists.pop("allow_hosts", ())
    given = {name: networks(texts) for name, texts in lists.items()}
    return NetworkPolicy(allow_loopback=loopback, allow_hosts=hosts, **given)


HOSTILE_HOSTS = [
    *("127.0.0.1", "127.1", "127.8.9.10", "2130706433", "0x7f000001", "0x7f.1", "017700000001"),
    *("0177.0.0.1", "0", "0.0.0.0", "0.1.2.3", "localhost", "LocalHost.", "camera.localhost"),
    *("::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"),
    *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe"),
    *("fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1"),
    *("2002:7f00:1::", "2001:0:0:0:0:0:80ff:fffe", "-camera", "camera..example", "cam era", ""),
    *("::a9fe:a9fe", "0x7f.0x0.0x0.0x1", "127.0.0.1.", "4294967295", "xn--", "a" * 254),
]


@pytest.mark.parametrize("host", [host for host in HOSTILE_HOSTS if host != "xn--"])
def test_hostile_hosts_are_refused_by_default_beyond_loopback(host: str) -> None:
    assert policy().host_problem(host)


@pytest.mark.parametrize(
    "host", ["camera.example", "192.168.1.20", "10.0.0.7", "8.8.8.8", "2001:db8::1", "fd12::7"]
)
def test_cameras_of_a_site_are_taken(host: str) -> None:
    assert policy().host_problem(host) is None


def test_loopback_is_taken_where_only_this_machine_asks() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"):
        assert policy(allow_loopback=True).host_problem(host) is None
    assert policy(allow_loopback=True).host_problem("169.254.169.254")


def test_the_smallest_network_decides() -> None:
    judge = policy(
        allow_networks=("10.1.0.0/16", "127.0.0.1/32", "169.254.7.7/32"),
        deny_networks=("10.0.0.0/8", "10.1.2.0/24"),
    )
    allowed = ["10.1.3.4", "127.0.0.1", "169.254.7.7", "::ffff:10.1.3.4"]
    refused = ["10.2.3.4", "10.1.2.3", "127.0.0.2", "169.254.7.8", "8.8.8.8", "::ffff:10.1.2.3"]
    assert [host for host in allowed if judge.host_problem(host)] == []
    assert [host for host in refused if not judge.host_problem(host)] == []


def test_a_network_that_is_allowed_and_denied_is_denied() -> None:
    judge = policy(allow_networks=("10.0.0.0/8",), deny_networks=("10.0.0.0/8",))
    assert "sources.deny_networks" in (judge.host_problem("10.1.1.1") or "")


def test_what_is_no_machine_is_never_allowed() -> None:
    judge = policy(allow_networks=("0.0.0.0/0", "::/0"), allow_loopback=True)
    assert judge.host_problem("127.0.0.1") is None
    for host in ("0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"):
        assert judge.host_problem(host)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("gate.cameras.example", True),
        ("GATE.cameras.example.", True),
        ("cameras.example", False),
        ("evilcameras.example", False),
        ("nvr.example", True),
        ("sub.nvr.example", False),
        ("192.168.1.9", True),
        ("192.168.1.10", False),
        ("2001:db8:0::9", True),
    ],
)
def test_only_listed_hosts_are_taken_where_any_are(host: str, taken: bool) -> None:
    names = ("*.cameras.example", "nvr.example", "192.168.1.9", "[2001:db8::9]")
    assert (policy(allow_hosts=names).host_problem(host) is None) is taken


@given(st.ip_addresses(v=4))
def test_an_address_within_ipv6_is_judged_as_itself(inner: ipaddress.IPv4Address) -> None:
    judge = policy()
    plain = judge.address_problem(inner)
    mapped = ipaddress.IPv6Address(0xFFFF00000000 | int(inner))
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | int(inner))
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80))
    assert judge.address_problem(mapped) == plain
    assert bool(judge.address_problem(translated)) == bool(plain)
    assert bool(judge.address_problem(sixtofour)) == bool(plain)

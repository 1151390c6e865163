"""Waiting for a fact that nothing announces."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Fact = TypeVar("Fact")
_POLL_S = 0.05


def until(fact: Callable[[], Fact], *, timeout_s: float = 30.0, what: str = "the fact") -> Fact:
    """The first true value of ``fact``, asked again and again; AssertionError when time is over."""
    never = threading.Event()
    deadline_s = time.monotonic() + timeout_s
    while not (value := fact()):
        assert time.monotonic() < deadline_s, f"{what} did not come in {timeout_s:g} s"
        never.wait(_POLL_S)
    return value


async def until_async(
    fact: Callable[[], Fact], *, timeout_s: float = 30.0, what: str = "the fact"
) -> Fact:
    """The same for a fact of the running event loop."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := fact()):
        assert time.monotonic() < deadline_s, f"{what} did not come in {timeout_s:g} s"
        await asyncio.sleep(_POLL_S)
    return value

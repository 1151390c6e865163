"""Calls that last until somebody ends them: how many there may be, and how the service ends them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, TypeVar

from vigil.errors import Busy, Unavailable

T = TypeVar("T")
_END: Final = object()


class LastingCalls:
    """All watches and pushes of one server."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End each of them with UNAVAILABLE, now."""
        self._closing.set()

    async def follow(self, items: AsyncGenerator[T, None]) -> AsyncIterator[T]:
        """The items as they come. Raises Busy where there are too many calls, Unavailable on closing."""
        if self._count >= self._limit:
            raise Busy(
                f"{self._limit} watching or pushing calls are open, which is the limit"
                " (grpc.max_watchers); end one first"
            )
        self._count += 1
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            async with aclosing(items):
                while True:
                    item = await self._next(items, closing)
                    if item is _END:
                        return
                    yield item  # type: ignore[misc]
        finally:
            closing.cancel()
            self._count -= 1

    async def _next(
        self, items: AsyncGenerator[T, None], closing: "asyncio.Future[Any]"
    ) -> T | object:
        async def step() -> T | object:
            return await anext(items, _END)

        pending: asyncio.Future[Any] = asyncio.ensure_future(step())
        try:
            await asyncio.wait({pending, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not pending.done():
                raise Unavailable("the service is stopping; connect again")
            return pending.result()  # type: ignore[no-any-return]
        finally:
            if not pending.done():
                pending.cancel()
                await asyncio.wait({pending})

"""The network between a camera and its viewers, and what can happen there: each fault is one call.

A relay of RTSP over TCP (RFC 2326, 10.12: pictures travel as ``$``, channel, length, RTP packet within the
connection). Faults hold for all connections, those that stand and those that come, until they are undone.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

_RTP_HEAD_BYTES = 12
_NAL_HEAD_BYTES = 2  # of a fragment: indicator and header
_IDR, _FRAGMENT = 5, 28
_CLOCK_HZ = 90_000


class RtspWire:
    """Listens at rtsp://127.0.0.1:PORT/live for the camera on another port. Use it as a context."""

    def __init__(self, camera_port: int, *, seed: int = 1) -> None:
        self._camera_port = camera_port
        self._draw = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()  # while it is clear, nothing passes and nobody hears of it
        self._port = 0
        self._answer = ""
        self._silent = False
        self._keyless = False
        self._flip_rate = 0.0
        self._loss_rate = 0.0
        self._shift = 0  # of timestamps, ticks
        self._wrap_in: int | None = None  # ticks, asked for and not done yet
        self.pictures = 0  # RTP packets that a viewer was sent

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._port}/live"

    # the connection

    def black_hole(self) -> None:
        """Nothing passes, in either direction; connections are taken and never answered."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def heal(self) -> None:
        """Whatever was wrong is well again."""
        self._answer = ""
        self._silent = self._keyless = False
        self._flip_rate = self._loss_rate = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)

    def cut(self) -> None:
        """End every connection; new ones are refused until `mend`."""
        self._run(self._close())

    def mend(self) -> None:
        """After `cut`: the same port again."""
        self._run(self._listen())

    # the conversation

    def redirect(self, url: str) -> None:
        """Whoever asks is sent elsewhere."""
        self._answer = f"302 Moved Temporarily\r\nLocation: {url}"

    def refuse(self, status: str) -> None:
        """Whoever asks is answered so: "401 Unauthorized", "503 Service Unavailable"."""
        self._answer = status

    # the pictures

    def send_nothing(self) -> None:
        """The conversation goes on, and no picture comes."""
        self._silent = True

    def flip_bits(self, rate: float) -> None:
        """Each bit of the pictures is turned over with this probability."""
        self._flip_rate = rate

    def lose(self, rate: float) -> None:
        """Each packet is lost with this probability."""
        self._loss_rate = rate

    def hold_key_frames(self, hold: bool = True) -> None:
        """No key frame comes."""
        self._keyless = hold

    def jump(self, seconds: float) -> None:
        """Timestamps jump by so much, from the next packet on; they wrap at 2^32 as ever."""
        self._shift += round(seconds * _CLOCK_HZ)

    def jump_to_wrap(self, in_s: float) -> None:
        """Timestamps jump to where they wrap in so many seconds. Before the first viewer comes."""
        self._wrap_in = round(in_s * _CLOCK_HZ)

    def __enter__(self) -> Self:
        self._thread.start()
        self._passing.set()
        self._run(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=256)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._tasks.discard(task)
            await _abort(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        from_camera, to_camera = await asyncio.open_connection("127.0.0.1", self._camera_port)
        ways = [
            asyncio.create_task(self._ask(reader, writer, to_camera)),
            asyncio.create_task(self._show(from_camera, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await _abort(to_camera)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_camera: asyncio.StreamWriter,
    ) -> None:
        """What the viewer says; every request is answered here where something is wrong."""
        while chunk := await reader.read(65536):
            await self._passing.wait()
            if self._answer and not chunk.startswith(b"$"):
                number = chunk.lower().partition(b"cseq:")[2].split(b"\r\n")[0].strip()
                answer = f"RTSP/1.0 {self._answer}\r\nCSeq: {number.decode()}\r\n\r\n"
                writer.write(answer.encode())
            else:
                to_camera.write(chunk)

    async def _show(self, from_camera: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the camera says: answers as they are, pictures as the faults leave them."""
        while True:
            first = await from_camera.readexactly(1)
            if first == b"$":
                head = await from_camera.readexactly(3)
                packet = bytearray(await from_camera.readexactly(int.from_bytes(head[1:], "big")))
                await self._passing.wait()
                if head[0] % 2 == 0 and not self._harm(packet):
                    continue
                writer.write(first + head + packet)
            else:
                answer = first + await from_camera.readuntil(b"\r\n\r\n")
                length = answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                body = await from_camera.readexactly(int(length)) if length else b""
                await self._passing.wait()
                writer.write(answer + body)
            await writer.drain()

    def _harm(self, packet: bytearray) -> bool:
        """Damage an RTP packet in place; False where it is lost."""
        nal = packet[_RTP_HEAD_BYTES] & 31
        if nal == _FRAGMENT:
            nal = packet[_RTP_HEAD_BYTES + 1] & 31
        if self._silent or (self._keyless and nal == _IDR):
            return False
        if self._loss_rate and self._draw.random() < self._loss_rate:
            return False
        self._retime(packet)
        first = _RTP_HEAD_BYTES + _NAL_HEAD_BYTES
        bits = (len(packet) - first) * 8
        for _ in range(_binomial(self._draw, bits, self._flip_rate)):
            place = self._draw.randrange(bits)
            packet[first + place // 8] ^= 1 << place % 8
        self.pictures += 1
        return True

    def _retime(self, packet: bytearray) -> None:
        ticks = int.from_bytes(packet[4:8], "big")
        if self._wrap_in is not None:
            self._shift = 2**32 - self._wrap_in - ticks
            self._wrap_in = None
        packet[4:8] = ((ticks + self._shift) % 2**32).to_bytes(4, "big")


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _binomial(draw: random.Random, tries: int, rate: float) -> int:
    """How many of so many tries succeed, counted by the gaps between successes."""
    count, at = 0, 0
    while rate > 0 and (at := at + 1 + int(draw.expovariate(rate))) <= tries:
        count += 1
    return count

"""Messages between two processes over a pair of sockets, with descriptors and large payloads.

SOCK_SEQPACKET keeps message borders, so a reader that dies in the middle of one leaves no half of it
to the next. What does not fit in a packet (a picture) travels as a memfd beside the message.
"""

import array
import mmap
import os
import socket
import struct
from typing import Generic, TypeVar

import msgspec

Sent = TypeVar("Sent", bound=msgspec.Struct)
Received = TypeVar("Received", bound=msgspec.Struct)

MAX_PACKET_BYTES = 128 * 1024
MAX_DESCRIPTORS = 8
_BUFFER_BYTES = 1024 * 1024  # asked for; the kernel may grant less
_ITEM_BYTES = array.array("i").itemsize
_ROOM_BYTES = socket.CMSG_LEN(MAX_DESCRIPTORS * _ITEM_BYTES)
# plain numbers: an IntFlag's "or" costs more than the call
_ALWAYS = int(socket.MSG_CMSG_CLOEXEC)
_AT_ONCE = int(socket.MSG_DONTWAIT)
_BESIDE = b"\xc1"  # never the start of a msgpack message: this one lies in the first descriptor


class ChannelClosed(Exception):
    """The other side closed its socket or died."""


class Parcel(Generic[Received]):
    """A message with the descriptors that came beside it."""

    __slots__ = ("descriptors", "message")

    def __init__(self, message: Received, descriptors: list[int]) -> None:
        self.message = message
        self.descriptors = descriptors

    def payload(self) -> bytes:
        """The bytes that came beside the message; empty if none did. Takes the descriptor."""
        return _take_bytes(self.descriptors.pop(0)) if self.descriptors else b""

    def close(self) -> None:
        """Close descriptors that nobody took."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class Channel(Generic[Sent, Received]):
    """One end of a conversation. Sending is atomic a message, so several threads may send."""

    def __init__(self, sock: socket.socket, receives: object) -> None:
        self.sock = sock
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Received] = msgspec.msgpack.Decoder(receives)
        self._packet = memoryview(bytearray(MAX_PACKET_BYTES))  # the one that is being received

    def fileno(self) -> int:
        """For selectors; -1 when closed."""
        return self.sock.fileno()

    def send(
        self, message: Sent, *, descriptors: tuple[int, ...] = (), payload: bytes = b""
    ) -> None:
        """Send one message; blocks as the socket's time-out says.

        Raises ChannelClosed if the other side is gone, BlockingIOError or TimeoutError if its buffer
        stays full.
        """
        packet = self._encoder.encode(message)
        made = [_memfd_of(payload)] if payload else []
        if len(packet) > MAX_PACKET_BYTES:
            made.insert(0, _memfd_of(packet))
            packet = _BESIDE
        try:
            if made or descriptors:
                socket.send_fds(self.sock, [packet], [*made, *descriptors])
            else:
                self.sock.send(packet)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        finally:
            for fd in made:
                os.close(fd)

    def receive(self, *, flags: int = 0) -> Parcel[Received]:
        """Receive one message; blocks as the socket's time-out and ``flags`` say. One thread calls it.

        Raises ChannelClosed at the end, BlockingIOError or TimeoutError if nothing is there.
        """
        try:
            size_bytes, descriptors = _receive(self.sock, self._packet, flags | _ALWAYS)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not size_bytes:
            raise ChannelClosed("the other side closed its socket")
        packet: memoryview | bytes = self._packet[:size_bytes]
        if packet == _BESIDE:
            packet = _take_bytes(descriptors.pop(0))
        return Parcel(self._decoder.decode(packet), descriptors)

    def drain(self) -> list[Parcel[Received]]:
        """Every message that is there now, without waiting; the socket must have no time-out.

        Raises ChannelClosed once the end is reached and nothing came before it.
        """
        parcels: list[Parcel[Received]] = []
        while True:
            try:
                parcels.append(self.receive(flags=_AT_ONCE))
            except (BlockingIOError, TimeoutError):
                return parcels
            except ChannelClosed:
                if parcels:  # the next call meets the end again
                    return parcels
                raise

    def close(self) -> None:
        """Close this end; the other side sees the end after what was sent."""
        self.sock.close()


def limit_sending(sock: socket.socket, timeout_s: float) -> None:
    """Let sends give up with BlockingIOError after a while, and leave receiving as it is."""
    seconds = int(timeout_s)
    microseconds = int((timeout_s - seconds) * 1e6)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", seconds, microseconds)
    )


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, with buffers as large as the kernel grants."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


def _receive(sock: socket.socket, into: memoryview, flags: int) -> tuple[int, list[int]]:
    """One packet's size and its descriptors. socket.recv_fds of Python 3.11 ignores the flags it is given."""
    try:
        size_bytes, ancillary, _, _ = sock.recvmsg_into([into], _ROOM_BYTES, flags)
    except ConnectionResetError:
        # The other side died with messages of ours unread. The kernel says so once, ahead of what the
        # other side had sent: that is still there, and the end comes after it.
        size_bytes, ancillary, _, _ = sock.recvmsg_into([into], _ROOM_BYTES, flags)
    if not ancillary:
        return size_bytes, []
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % _ITEM_BYTES])
    return size_bytes, descriptors.tolist()


def _memfd_of(payload: bytes) -> int:
    fd = os.memfd_create("vigil-payload", os.MFD_CLOEXEC)
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _take_bytes(fd: int) -> bytes:
    try:
        size_bytes = os.fstat(fd).st_size
        if not size_bytes:
            return b""
        with mmap.mmap(fd, size_bytes, access=mmap.ACCESS_READ) as view:
            return view[:]
    finally:
        os.close(fd)

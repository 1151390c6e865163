import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest

from tests.support.processes import descriptors
from vigil.ipc.channel import (
    MAX_PACKET_BYTES,
    Channel,
    ChannelClosed,
    limit_sending,
    socket_pair,
)


class Note(msgspec.Struct, frozen=True, tag=True):
    text: str
    number: int = 0


Ends = tuple[Channel[Note, Note], Channel[Note, Note]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = (Channel[Note, Note](sock, Note) for sock in socket_pair())
    ours.sock.settimeout(5)
    theirs.sock.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


def fill(channel: Channel[Note, Note], payload: bytes = b"") -> int:
    """Send until the other side's buffer is full; how many messages fitted."""
    for number in range(10_000):
        try:
            channel.send(Note("y" * 10_000, number), payload=payload)
        except BlockingIOError:
            return number
    raise AssertionError("it never filled")


def test_messages_keep_their_borders_and_order(ends: Ends) -> None:
    ours, theirs = ends
    for number in range(20):
        ours.send(Note("x" * number, number))
    assert [theirs.receive().message for _ in range(20)] == [Note("x" * n, n) for n in range(20)]


@pytest.mark.parametrize("over", [-100, 0, 1, 5_000_000])
def test_a_message_of_any_size_arrives(ends: Ends, over: int) -> None:
    ours, theirs = ends
    text = "m" * (MAX_PACKET_BYTES + over)
    before = descriptors()
    ours.send(Note(text))
    assert theirs.receive().message == Note(text)
    assert descriptors() <= before


def test_a_payload_and_descriptors_travel_beside_a_message(ends: Ends) -> None:
    ours, theirs = ends
    before = descriptors()
    reading, writing = os.pipe()
    picture = os.urandom(3_000_000)
    ours.send(Note("n" * MAX_PACKET_BYTES), descriptors=(writing,), payload=picture)
    os.close(writing)
    parcel = theirs.receive()
    assert parcel.payload() == picture
    passed = parcel.descriptors.pop(0)
    os.write(passed, b"through")
    os.close(passed)
    assert os.read(reading, 100) == b"through"
    os.close(reading)
    parcel.close()
    assert descriptors() <= before


def test_descriptors_that_nobody_takes_are_closed(ends: Ends) -> None:
    ours, theirs = ends
    before = descriptors()
    ours.send(Note("n"), payload=b"picture")
    theirs.receive().close()
    assert descriptors() <= before


def test_a_message_without_a_payload_has_an_empty_one(ends: Ends) -> None:
    ours, theirs = ends
    ours.send(Note("n"))
    assert theirs.receive().payload() == b""


def test_the_end_comes_after_everything_that_was_sent(ends: Ends) -> None:
    ours, theirs = ends
    ours.send(Note("last"))
    ours.close()
    assert theirs.receive().message == Note("last")
    with pytest.raises(ChannelClosed):
        theirs.receive()
    with pytest.raises(ChannelClosed):
        theirs.send(Note("to nobody"))


def test_what_a_dead_peer_had_said_is_heard_though_it_had_not_listened(ends: Ends) -> None:
    """The kernel reports a reset before the messages that are still in the socket."""
    ours, theirs = ends
    ours.send(Note("never read"))
    theirs.send(Note("event", 1))
    theirs.send(Note("event", 2))
    theirs.close()
    ours.sock.setblocking(False)
    assert [parcel.message.number for parcel in ours.drain()] == [1, 2]
    with pytest.raises(ChannelClosed):
        ours.drain()


def test_draining_takes_what_is_there_and_does_not_wait(ends: Ends) -> None:
    ours, theirs = ends
    theirs.sock.setblocking(False)
    assert theirs.drain() == []
    ours.send(Note("a"))
    ours.send(Note("b"))
    assert [parcel.message.text for parcel in theirs.drain()] == ["a", "b"]
    assert theirs.drain() == []


def test_a_full_buffer_refuses_and_loses_nothing(ends: Ends) -> None:
    ours, theirs = ends
    ours.sock.setblocking(False)
    before = descriptors()
    sent = fill(ours, b"z")
    theirs.sock.setblocking(False)
    for number in range(sent):
        parcel = theirs.receive()
        assert parcel.message.number == number
        parcel.close()
    assert descriptors() <= before


def test_sending_gives_up_after_its_limit_and_receiving_does_not(ends: Ends) -> None:
    ours, _ = ends
    ours.sock.settimeout(None)
    limit_sending(ours.sock, 0.05)
    assert fill(ours) > 0


def test_several_threads_may_send(ends: Ends) -> None:
    ours, theirs = ends

    def send(first: int) -> None:
        for number in range(first, first + 200):
            ours.send(Note("t" * 300, number))

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    numbers = [theirs.receive().message.number for _ in range(600)]
    for thread in threads:
        thread.join()
    for first in (0, 1000, 2000):
        own = [number for number in numbers if first <= number < first + 1000]
        assert own == list(range(first, first + 200))


def test_the_death_of_the_other_process_is_an_end() -> None:
    ours, theirs = socket_pair()
    ours.settimeout(5)
    program = (
        "import sys, socket, os, signal\n"
        "socket.socket(fileno=int(sys.argv[1])).send(sys.stdin.buffer.read())\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.PIPE,
    )
    theirs.close()
    process.communicate(msgspec.msgpack.encode(Note("dying")))
    channel: Channel[Note, Note] = Channel(ours, Note)
    assert channel.receive().message == Note("dying")
    with pytest.raises(ChannelClosed):
        channel.receive()
    channel.close()
    assert channel.fileno() == -1


def test_packets_fit_the_sockets_buffer() -> None:
    ours, theirs = socket_pair()
    with ours, theirs:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > 2 * MAX_PACKET_BYTES

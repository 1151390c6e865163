"""A child process for tests: does what the notes that it gets say. Run as a module with its socket's FD."""

import os
import signal
import socket
import sys
from typing import Any

import msgspec

from vigil.ipc.channel import Channel, ChannelClosed


class Note(msgspec.Struct, frozen=True, tag=True):
    """An order or an answer."""

    text: str
    number: int = 0


def main(fd: int) -> int:
    """Echo notes; "exit" and "die" end the process, "deaf" stops it from reading."""
    channel: Channel[Note, Note] = Channel(socket.socket(fileno=fd), Note)
    while True:
        try:
            parcel = channel.receive()
        except ChannelClosed:
            return 0
        note: Any = parcel.message
        payload = parcel.payload()
        parcel.close()
        match note.text:
            case "exit":
                return note.number
            case "die":
                channel.send(Note("last words"))
                os.kill(os.getpid(), signal.SIGKILL)
            case "deaf":
                channel.send(Note("deaf"))
                signal.pause()
            case text:
                channel.send(Note(text, note.number), payload=payload)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

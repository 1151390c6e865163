"""Whether the decoder does here what vigil relies on: it reads, and its time-outs act."""

import socket
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from vigil.host.capture import CaptureFailed, CaptureLimits, configure_process, open_capture
from vigil.spec import Source

TIMEOUT_S = 0.5
SLACK_S = 8.0  # of a busy machine; FFmpeg by itself waits for 30 s
_FRAMES = 5


def test_decoder() -> list[str]:
    """What does not work, for people; empty: all does. Takes about a second.

    `vigil.host.environment.set_environment` was called before cv2 was loaded.
    """
    configure_process()
    if cv2.CAP_FFMPEG not in cv2.videoio_registry.getBackends():
        return ["OpenCV has no FFmpeg: no stream can be opened"]
    return [*_reads(), *_times_out()]


def _reads() -> list[str]:
    """A clip that is written and read again."""
    with tempfile.TemporaryDirectory(prefix="vigil-doctor-") as folder:
        path = Path(folder) / "clip.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
        for _ in range(_FRAMES):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.release()
        try:
            capture = open_capture(Source(uri=path.as_uri()), CaptureLimits(5.0, 5.0))
        except CaptureFailed as failure:
            return [f"a video file of its own cannot be opened: {failure.detail}"]
        try:
            frames = sum(capture.grab() for _ in range(_FRAMES))
        finally:
            capture.close()
    return [] if frames == _FRAMES else [f"of {_FRAMES} frames written, {frames} are read"]


def _times_out() -> list[str]:
    """A camera that takes one connection and says nothing; who then asks why is refused at once."""
    silent = socket.create_server(("127.0.0.1", 0))
    source = Source(uri=f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live")
    taken: list[socket.socket] = []

    def take_one() -> None:
        with silent:
            taken.append(silent.accept()[0])

    taking = threading.Thread(target=take_one, daemon=True)
    taking.start()
    started_s = time.monotonic()
    try:
        open_capture(source, CaptureLimits(TIMEOUT_S, TIMEOUT_S)).close()
    except CaptureFailed:
        took_s = time.monotonic() - started_s
        if took_s < TIMEOUT_S + SLACK_S:
            return []
        return [f"a silent camera was given up after {took_s:.1f} s instead of {TIMEOUT_S:g} s"]
    finally:
        taking.join(TIMEOUT_S)
        for connection in taken:
            connection.close()
    return ["a silent camera counts as open"]

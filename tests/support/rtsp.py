"""A camera that speaks RTSP, for tests: `tests/support/rtsp_server.py` as a child that can be killed."""

import functools
import json
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_PROBE = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
lacking = [name for name in ("x264enc", "rtph264pay") if Gst.ElementFactory.find(name) is None]
raise SystemExit(", ".join(lacking) or 0)
"""


@functools.cache
def why_not() -> str:
    """What is missing for an RTSP camera on this machine; empty if nothing is."""
    packages = (
        "apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good "
        "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
    )
    try:
        probe = subprocess.run(
            [_SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return f"no {_SYSTEM_PYTHON}; {packages}"
    if probe.returncode:
        return f"GStreamer's RTSP server is not installed: {packages}"
    return ""


class RtspCamera:
    """A moving ball at rtsp://127.0.0.1:PORT/live, or a video file played once.

    The port stays the same through `kill` and `start`.
    """

    def __init__(
        self, *, auth: str = "", username: str = "", password: str = "", file: Path | None = None
    ) -> None:
        self._orders = {
            "auth": auth,
            "username": username,
            "password": password,
            "file": str(file) if file else "",
            "port": 0,
        }
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._orders['port']}/live"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [_SYSTEM_PYTHON, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._orders) + "\n")
        self._process.stdin.flush()
        port = self._process.stdout.readline()
        assert port, "the RTSP server did not start"
        self._orders["port"] = int(port)

    def kill(self) -> None:
        """As when the plug is pulled, but that the kernel closes its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stall(self) -> None:
        """Send nothing more, and keep every connection."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After `stall`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

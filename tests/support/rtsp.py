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
    """A box that walks over grey ground at rtsp://127.0.0.1:PORT/live, or a video file played once.

    The port stays the same through `kill` and `start`. Any number of viewers share one encoder.
    """

    def __init__(
        self,
        *,
        auth: str = "",
        username: str = "",
        password: str = "",
        file: Path | None = None,
        size_px: tuple[int, int] = (320, 240),
        fps: int = 25,
        gop: int = 25,
    ) -> None:
        self._orders = {
            "auth": auth,
            "username": username,
            "password": password,
            "file": str(file) if file else "",
            "width_px": size_px[0],
            "height_px": size_px[1],
            "fps": fps,
            "gop": gop,
            "kbit": 500,
            "port": 0,
        }
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        return int(self._orders["port"])

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

    # what it sees

    def freeze(self, frozen: bool = True) -> None:
        """Send the same picture again and again."""
        self._tell(frozen=frozen)

    def black_out(self, black: bool = True) -> None:
        """Send black."""
        self._tell(black=black)

    def resize(self, width_px: int, height_px: int) -> None:
        """Send pictures of another size, in the same connection; multiples of 8."""
        self._tell(width=width_px, height=height_px)

    # who may look

    def change_password(self, password: str) -> None:
        """Whoever looks goes on; whoever comes needs the new one."""
        self._orders["password"] = password
        self._tell(password=password)

    # whether it is there

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

    def _tell(self, **order: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

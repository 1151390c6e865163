"""A camera: GStreamer's RTSP server, run by the system's python3, which has its bindings.

Reads its orders as one line of JSON from stdin, writes the port that it listens on as one line, obeys further
orders while it runs, and ends with its stdin. Needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and
gstreamer1.0-plugins-good, -bad and -ugly.
Not imported by the tests: `tests.support.rtsp` starts it.
"""

import json
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402 - versions come before

_ROLE = "viewer"
_ENCODE = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={kbit}"
_BOX_PX = 40
_GREY, _BRIGHT, _NO_COLOUR = b"\x60", b"\xe0", b"\x80"


class Lens:
    """What the camera sees: a bright box that walks over grey ground, 4 pixels a frame."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.width, self.height = orders["width_px"], orders["height_px"]
        self.fps = orders["fps"]
        self.frozen = False
        self.black = False
        self._index = 0

    @property
    def caps(self) -> Gst.Caps:
        return Gst.Caps.from_string(
            f"video/x-raw,format=I420,width={self.width},height={self.height},framerate={self.fps}/1"
        )

    def picture(self) -> bytes:
        """The next picture, as I420 planes; width and height are multiples of 8."""
        if not self.frozen:
            self._index += 1
        ground = b"\x10" if self.black else _GREY
        luminance = bytearray(ground * (self.width * self.height))
        if not self.black:
            left = self._index * 4 % (self.width - _BOX_PX)
            for row in range(self.height // 3, self.height // 3 + _BOX_PX):
                start = row * self.width + left
                luminance[start : start + _BOX_PX] = _BRIGHT * _BOX_PX
        return bytes(luminance) + _NO_COLOUR * (self.width * self.height // 2)


class Camera:
    """The server, and the pipeline that all viewers share."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        self._lens = Lens(orders)
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address("127.0.0.1")
        self._server.set_service(str(orders["port"]))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(self._pipeline())
        factory.set_shared(True)
        factory.connect("media-configure", self._configure)
        if orders["auth"]:
            self._server.set_auth(self._login())
            permissions = GstRtspServer.RTSPPermissions()
            for what in (
                GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
                GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
            ):
                permissions.add_permission_for_role(_ROLE, what, True)
            factory.set_permissions(permissions)
        self._server.get_mount_points().add_factory("/live", factory)

    def listen(self) -> int:
        """The port; 0 where there is none to be had."""
        return self._server.get_bound_port() if self._server.attach(None) else 0

    def obey(self, order: dict[str, Any]) -> None:
        """A change of what is seen, or of the password that the next viewer needs."""
        for name, value in order.items():
            if name == "password":
                self._orders["password"] = value
                self._server.set_auth(self._login())
            else:
                setattr(self._lens, name, value)

    def _pipeline(self) -> str:
        orders = self._orders
        source = (
            f"filesrc location={orders['file']} ! decodebin"
            if orders["file"]
            else "appsrc name=lens is-live=true format=time do-timestamp=true"
        )
        encode = _ENCODE.format(gop=orders["gop"], kbit=orders["kbit"])
        return (
            f"( {source} ! videoconvert ! {encode} ! h264parse ! "
            "rtph264pay name=pay0 pt=96 config-interval=1 )"
        )

    def _login(self) -> GstRtspServer.RTSPAuth:
        """Who may look, and how they say who they are: basic or digest."""
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken.new()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, _ROLE)
        user, password = self._orders["username"], self._orders["password"]
        if self._orders["auth"] == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        return auth

    def _configure(self, _: Any, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_by_name("lens")
        if source is not None:
            GLib.timeout_add(1000 // self._lens.fps, self._look, source)

    def _look(self, source: GstApp.AppSrc) -> bool:
        """Take a picture; ends with the pipeline that it is for."""
        source.set_property("caps", self._lens.caps)
        pushed = source.emit("push-buffer", Gst.Buffer.new_wrapped(self._lens.picture()))
        return bool(pushed != Gst.FlowReturn.FLUSHING)


def serve(orders: dict[str, Any]) -> None:
    """Serve until stdin ends."""
    Gst.init(None)
    camera = Camera(orders)
    port = camera.listen()
    if not port:
        sys.exit("the port cannot be listened on")
    loop = GLib.MainLoop()

    def told(*_: Any) -> bool:
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        camera.obey(json.loads(line))
        print("done", flush=True)
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP | GLib.IO_IN, told)
    print(port, flush=True)
    loop.run()


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))

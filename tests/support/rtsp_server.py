"""A camera: GStreamer's RTSP server, run by the system's python3, which has its bindings.

Reads its orders as one line of JSON from stdin, writes the port that it listens on as one line, and ends
with its stdin. Needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-good, -bad
and -ugly.
Not imported by the tests: `tests.support.rtsp` starts it.
"""

import json
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions are named before

_ROLE = "viewer"
_ENCODE = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=500"


def pipeline(orders: dict[str, Any]) -> str:
    """A moving ball, or a video file played once, as H.264."""
    source = (
        f"filesrc location={orders['file']} ! decodebin ! videoconvert"
        if orders.get("file")
        else "videotestsrc is-live=true pattern=ball ! "
        "video/x-raw,width=320,height=240,framerate=25/1 ! videoconvert"
    )
    return f"( {source} ! {_ENCODE} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"


def login(orders: dict[str, Any]) -> GstRtspServer.RTSPAuth:
    """Who may look, and how they say who they are: basic or digest."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, _ROLE)
    user, password = orders["username"], orders["password"]
    if orders["auth"] == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def serve(orders: dict[str, Any]) -> None:
    """Serve until stdin ends."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(orders.get("port", 0)))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline(orders))
    factory.set_shared(True)
    if orders.get("auth"):
        server.set_auth(login(orders))
        permissions = GstRtspServer.RTSPPermissions()
        for what in (
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
        ):
            permissions.add_permission_for_role(_ROLE, what, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit("the port cannot be listened on")
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    print(server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))

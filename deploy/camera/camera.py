#!/usr/bin/python3
"""A simulated camera: a moving ball by RTSP, for whoever has the password. To try vigil with, only.

    camera.py ADDRESS PORT PASSWORD_FILE        rtsp://viewer@ADDRESS:PORT/live

Needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-{good,bad,ugly}.
"""

import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions are named before

_USER = "viewer"
_PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=1280,height=720,framerate=25/1"
    " ! videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast"
    " key-int-max=50 bitrate=2000 ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main(address: str, port: str, password_file: str) -> None:
    """Serve until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(address)
    server.set_service(port)
    password = Path(password_file).read_text(encoding="utf-8").strip()
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, _USER)
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(_USER, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for what in (
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
    ):
        permissions.add_permission_for_role(_USER, what, True)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(_PIPELINE)
    factory.set_shared(True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"{address}:{port} cannot be listened on")
    print(f"rtsp://{_USER}@{address}:{server.get_bound_port()}/live", flush=True)  # noqa: T201
    GLib.MainLoop().run()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

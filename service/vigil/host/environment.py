"""What OpenCV and FFmpeg read from the environment; set before OpenCV is loaded."""

import os

MAX_PICTURE_PX = 64 * 2**20  # of one encoded picture; larger ones are not decoded

_VALUES = {
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PICTURE_PX),
    # One string for the whole process. It replaces OpenCV's own, so RTSP over TCP is asked for again;
    # the whitelist keeps a playlist or a redirect from protocols that nobody asked for.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": (
        "rtsp_transport;tcp|protocol_whitelist;"
        "file,rtp,rtcp,udp,tcp,tls,rtsp,rtsps,srtp,http,https,httpproxy,crypto,hls"
    ),
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # FFmpeg's messages hold URLs with credentials
}


def set_environment() -> None:
    """Call before the first import of cv2."""
    os.environ.update(_VALUES)

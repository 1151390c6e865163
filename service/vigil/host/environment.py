"""What FFmpeg may do, and what OpenCV reads of it from the environment before it is loaded."""

import os

MAX_PICTURE_PX = 64 * 2**20  # of one encoded picture; larger ones are not decoded

_FORMATS = (
    *(
        "mov",
        "matroska",
        "webm",
        "avi",
        "mpegts",
        "mpeg",
        "mpegvideo",
        "flv",
        "asf",
        "ogg",
        "ivf",
        "mxf",
    ),
    *(
        "h264",
        "hevc",
        "m4v",
        "obu",
        "mjpeg",
        "mpjpeg",
        "image2",
        "jpeg_pipe",
        "png_pipe",
        "bmp_pipe",
    ),
    *("webp_pipe", "gif", "hls", "rtsp", "rtp", "aac", "mp3", "ac3", "eac3", "webvtt"),
)
# The protocols keep a playlist or a redirect from what nobody asked for; the formats leave out those that
# open further files (concat, dash, sdp); the extensions keep HLS of an HTTP server from naming files of
# this machine, which it may do otherwise. RTSP over TCP: lost packets are damaged pictures. FFmpeg takes
# 20 frames to guess a camera's rate; with 3 it opens in half the time, and OpenCV opens one after the other.
FFMPEG_OPTIONS = {
    "rtsp_transport": "tcp",
    "fpsprobesize": "3",
    "allowed_extensions": "none",
    "protocol_whitelist": (
        "file,rtp,rtcp,udp,tcp,tls,rtsp,rtsps,srtp,http,https,httpproxy,crypto,hls"
    ),
    "format_whitelist": ",".join(_FORMATS),
}
_VALUES = {
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PICTURE_PX),
    # One string for the whole process. It replaces OpenCV's own, so RTSP over TCP is asked for again.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "|".join(
        f"{name};{value}" for name, value in FFMPEG_OPTIONS.items()
    ),
    "OPENBLAS_NUM_THREADS": "1",  # hosts multiply no matrices; one thread can be confined
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # FFmpeg's messages hold URLs with credentials
}


def set_environment() -> None:
    """Call before the first import of cv2."""
    os.environ.update(_VALUES)

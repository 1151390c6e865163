"""`make soak`: `vigil bench soak` with a simulated RTSP camera beside its files."""

import sys

from tests.support import rtsp
from vigil.cli import main

if __name__ == "__main__":
    if missing := rtsp.why_not():
        sys.exit(missing)
    with rtsp.RtspCamera() as camera:
        main(["bench", "soak", "--source", camera.url, *sys.argv[1:]])

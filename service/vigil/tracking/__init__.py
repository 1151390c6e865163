"""Objects over frames: detections of one stream in, tracks out. No I/O, no clock."""

from vigil.tracking.settings import TrackerSettings, kinds_of
from vigil.tracking.tracker import Tracker

__all__ = ["Tracker", "TrackerSettings", "kinds_of"]

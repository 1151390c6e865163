"""Boxes, trails, zones, lines and event labels on pictures. OpenCV and numpy only."""

from vigil.draw.annotate import Overlay, annotate
from vigil.draw.history import EventLabels, Trails

__all__ = ["EventLabels", "Overlay", "Trails", "annotate"]

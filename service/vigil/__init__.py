"""vigil: video analytics for video management systems."""

__version__ = "0.1.0"

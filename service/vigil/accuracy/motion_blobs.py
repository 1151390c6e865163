"""Classical analytics, for comparison: what moves is an object.

A background mixture model (MOG2, Zivkovic 2004), shadows dropped, holes closed, connected blobs of some
size. This is what is sold as video analytics without a net; it is here to be measured against.
"""

import cv2
import numpy as np

from vigil.data import U8, Detections

_SHADOW = 127
_LEAST_AREA_PX = 120
_FULL_SCORE_AREA_PX = 4000.0


class MotionBlobs:
    """MOG2 blobs as detections of class 0. Sees every frame of a video, in order."""

    name = "mog2_blobs"

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(history=200, varThreshold=24)
        self._open = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        self._close = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 13))

    def find(self, image_bgr: U8) -> Detections:
        """Moving blobs of the next frame (H, W, 3), in its pixels; the larger, the surer."""
        moving = self._background.apply(image_bgr)
        _, mask = cv2.threshold(moving, _SHADOW, 255, cv2.THRESH_BINARY)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, self._open)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, self._close)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        blobs = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= _LEAST_AREA_PX]
        left, top, width, height, area = blobs.T.astype(np.float32)
        score = np.minimum(1.0, area / _FULL_SCORE_AREA_PX)
        order = np.argsort(-score, kind="stable")
        xyxy = np.stack([left, top, left + width, top + height], axis=1)
        return Detections(
            xyxy=xyxy[order].astype(np.float32),
            score=score[order].astype(np.float32),
            class_id=np.zeros(len(order), np.int64),
        )

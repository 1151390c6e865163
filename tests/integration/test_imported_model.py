"""A model that a site brings, served: from the graph to the boxes of a picture and a stream's events."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.imported import install_imported_model
from tests.support.site import CALL_TIMEOUT_S, MARKER, Status
from tests.support.waiting import until
from vigil.v1 import analysis_pb2

pytest.importorskip("onnxruntime", reason="the extra 'peers' is not installed")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=[False, True], ids=["letterbox", "stretch"])
def brought(
    request: pytest.FixtureRequest,
    open_site: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Any, bool]]:
    models = tmp_path_factory.mktemp("models")
    install_imported_model(models, "brought", stretch=request.param)
    with open_site(VIGIL_MODEL__FOLDER=str(models), VIGIL_MODEL__NAME="brought") as site:
        yield site, request.param


def test_its_boxes_lie_where_the_picture_lies(brought: tuple[Any, bool]) -> None:
    site, stretch = brought
    square = np.zeros((200, 200, 3), np.uint8)  # letterboxed: 64 x 64 pixels, 16 from the left
    _, encoded = cv2.imencode(".png", square)
    request = analysis_pb2.DetectImageRequest(image=encoded.tobytes())
    answer = site.analysis.DetectImage(request, timeout=CALL_TIMEOUT_S).analysis
    bird = next(one for one in answer.detections if one.class_name == "bird")
    box = [bird.bbox.x1, bird.bbox.y1, bird.bbox.x2, bird.bbox.y2]
    left, width = (0, 96) if stretch else (16, 64)
    expected = [(24 - left) / width, 16 / 64, (48 - left) / width, 32 / 64]
    assert box == pytest.approx(expected, abs=1e-4)


def test_a_stream_is_analysed_with_it(brought: tuple[Any, bool], clips: Any) -> None:
    site, _ = brought
    site.add("cam", clips.short.as_uri(), rules=[MARKER], detect_fps=5, source_pace=2)
    site.wait("cam", lambda stream: stream.status.reason == Status.ENDED, timeout_s=60)
    assert until(lambda: site.entries("cam"))

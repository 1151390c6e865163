"""Pictures that clients send and pictures that they ask for."""

import itertools
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest

from tests.support import models, videos
from tests.support.errors import refusal
from tests.support.processes import named
from tests.support.site import MARKER, Status, spec_of
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import analysis_pb2, rules_pb2, snapshots_pb2
from vigil.v1.geometry_pb2 import Box, Point, Polygon

TRACKS = rules_pb2.Rule(rule_id="tracks", track=rules_pb2.TrackRule())
pytestmark = pytest.mark.timeout(90)


def detect(site: Any, image: bytes, **fields: Any) -> analysis_pb2.PictureAnalysis:
    request = analysis_pb2.DetectImageRequest(image=image, **fields)
    return site.analysis.DetectImage(request, timeout=20).analysis


def test_a_picture_is_analysed(site: Any) -> None:
    found = detect(site, videos.jpeg())
    assert (found.width_px, found.height_px, found.model) == (320, 240, models.NAME)
    assert len(found.detections) == models.BOXES
    for each in found.detections:
        assert each.class_name == "person"
        assert each.score == pytest.approx(models.SCORE, abs=0.01)
        assert 0 <= each.bbox.x1 < each.bbox.x2 <= 1
        assert 0 <= each.bbox.y1 < each.bbox.y2 <= 1
    assert detect(site, videos.jpeg(), min_score=0.95).detections == []
    assert detect(site, videos.jpeg(), classes=["car"]).detections == []


def test_many_pictures_at_once_are_all_answered(site: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: detect(site, videos.jpeg(i)), range(48)))
    assert [len(answer.detections) for answer in answers] == [models.BOXES] * 48


def test_what_is_no_picture_is_refused(site: Any) -> None:
    code, _, named = refusal(lambda: detect(site, b""))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "image" in named
    for bytes_of_no_picture in (b"\xff\xd8 is how a JPEG begins", bytes(10_000)):
        code, message, _ = refusal(lambda sent=bytes_of_no_picture: detect(site, sent))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "picture" in message
    tiny = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    assert refusal(lambda: detect(site, tiny))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert len(detect(site, videos.jpeg()).detections) == models.BOXES


def classified(site: Any, image: bytes, **fields: Any) -> dict[str, float]:
    request = analysis_pb2.ClassifyImageRequest(image=image, **fields)
    answer = site.analysis.ClassifyImage(request, timeout=20)
    assert answer.model == models.SHADE_NAME
    return {each.class_name: each.probability for each in answer.classes}


def halves() -> bytes:
    """Dark on the left, bright on the right."""
    picture = np.full((120, 160, 3), 20, np.uint8)
    picture[:, 80:] = 250
    return cv2.imencode(".png", picture)[1].tobytes()


def test_a_picture_or_a_part_of_it_is_classified(site: Any) -> None:
    left, right = Box(x1=0, y1=0, x2=0.5, y2=1), Box(x1=0.5, y1=0, x2=1, y2=1)
    dark = classified(site, halves(), bbox=left)
    bright = classified(site, halves(), bbox=right, model=models.SHADE_NAME)
    assert list(dark) == ["dark", "bright"]
    assert list(bright) == ["bright", "dark"], "the most probable comes first"
    assert sum(bright.values()) == pytest.approx(1.0, abs=1e-4)
    assert list(classified(site, halves(), bbox=right, top_k=1)) == ["bright"]


def test_many_classifications_at_once_are_all_answered(site: Any) -> None:
    pictures = [cv2.imencode(".png", np.full((40, 40, 3), v, np.uint8))[1] for v in (10, 250)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda i: classified(site, pictures[i % 2].tobytes(), top_k=1), range(48))
        )
    assert [list(answer) for answer in answers] == [["dark"], ["bright"]] * 24


def test_what_cannot_be_classified_is_refused_with_its_field(site: Any) -> None:
    def field_of(**fields: Any) -> str:
        code, _, named = refusal(lambda: classified(site, **{"image": halves(), **fields}))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        return str(named)

    assert "image" in field_of(image=b"\xff\xd8 is how a JPEG begins")
    assert "model" in field_of(model=models.NAME)
    assert "bbox" in field_of(bbox=Box(x1=1, y1=0, x2=0, y2=1))


def bomb(side_px: int) -> bytes:
    """A PNG of a few kilobytes that decodes to a grey square of that side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + check.to_bytes(4, "big")

    packer, packed = zlib.compressobj(9), b""
    for _ in range(side_px):
        packed += packer.compress(bytes(1 + side_px))
    head = side_px.to_bytes(4, "big") * 2 + bytes((8, 0, 0, 0, 0))
    body = chunk(b"IHDR", head) + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(site: Any) -> None:
    """100 megapixels are 300 MB as they would be decoded."""
    hosts = named(site.vigil.pid, "vigil.host")

    def most_kib() -> int:
        texts = (Path(f"/proc/{pid}/status").read_text() for pid in hosts)
        return max(int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) for text in texts)

    detect(site, videos.jpeg())
    before_kib, hostile = most_kib(), bomb(10_000)
    assert len(hostile) < 200_000
    code, message, _ = refusal(lambda: detect(site, hostile))
    assert (code, "picture" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert most_kib() - before_kib < 60_000
    assert len(detect(site, bomb(2000)).detections) == models.BOXES, "the bomb is a picture"


def pushed(
    stream_id: str, images: list[bytes], **fields: Any
) -> Iterator[analysis_pb2.AnalyzeFramesRequest]:
    """A call's messages: the stream, then its frames, 0.1 s apart."""
    yield analysis_pb2.AnalyzeFramesRequest(stream=spec_of(stream_id, "push:", **fields))
    for index, image in enumerate(images):
        frame = analysis_pb2.PushedFrame(image=image)
        frame.captured_at.FromMilliseconds(1_800_000_000_000 + index * 100)
        yield analysis_pb2.AnalyzeFramesRequest(frame=frame)


def test_each_pushed_frame_is_answered_and_its_events_are_published(site: Any) -> None:
    images = [videos.jpeg(index) for index in range(20)]
    requests = pushed("pushed", images, rules=[MARKER, TRACKS])
    answers = list(site.analysis.AnalyzeFrames(requests, timeout=30))
    assert [answer.index for answer in answers] == list(range(20))
    assert {answer.WhichOneof("result") for answer in answers} == {"analysis"}
    assert [answer.analysis.seq for answer in answers] == list(range(20))
    last = answers[-1].analysis
    ids = {each.track_id for each in last.picture.detections}
    assert len(ids) == models.BOXES
    sent = [event.event_id for answer in answers for event in answer.analysis.events]

    listed = site.listed("pushed")
    assert len(listed) == len(sent) + models.BOXES, "and the ends of its tracks"
    entries = until(lambda: (e := site.entries("pushed")) and len(e) == len(listed) and e)
    assert {entry.event_id for entry in entries} >= set(sent)
    events = [entry.read() for entry in entries]
    assert [event.event_seq for event in events] == list(range(1, len(events) + 1))
    marks = [e.event.occurred_at_s for e in events if e.event.type == "marker"]
    steps = [round(b - a, 3) for a, b in itertools.pairwise(marks)]
    assert steps == [0.1] * 19, "frames are where the client says that they were taken"
    ends = [e.event for e in events if e.event.type == "track" and e.event.phase == "end"]
    assert {event.track_id for event in ends} == ids, "the call's end ends what was open"
    assert refusal(lambda: site.get("pushed"))[0] is grpc.StatusCode.NOT_FOUND


def test_a_frame_that_does_not_decode_is_answered_and_counted(site: Any) -> None:
    site.add("bench", "push:", rules=[MARKER])
    images = [videos.jpeg(0), b"\xff\xd8 no picture", videos.jpeg(2), b"", videos.jpeg(4)]
    answers = list(site.analysis.AnalyzeFrames(pushed("bench", images), timeout=30))
    kinds = [answer.WhichOneof("result") for answer in answers]
    assert kinds == ["analysis", "error", "analysis", "error", "analysis"]
    assert answers[1].error.code == answers[3].error.code == "INVALID_ARGUMENT"
    account = site.scrape().accounts()["bench"]
    assert account.balances
    assert (account.read, account.outcomes["analysed"], account.outcomes["corrupt"]) == (4, 3, 1)


def test_a_registered_stream_is_pushed_into_again_and_again(site: Any) -> None:
    site.add("inbox", "push:", rules=[MARKER])
    for run in (1, 2):
        answers = list(
            site.analysis.AnalyzeFrames(pushed("inbox", [videos.jpeg()] * 3), timeout=30)
        )
        assert {answer.analysis.run for answer in answers} == {run}
        status = site.wait_offline("inbox").status
        assert (status.reason, status.run) == (Status.ENDED, run)
        assert len(site.listed("inbox")) == 3 * run


def test_one_client_at_a_time_pushes_into_a_stream(site: Any) -> None:
    site.add("single", "push:")
    first = pushed("single", [videos.jpeg(i) for i in range(3)])
    call = site.analysis.AnalyzeFrames(itertools.chain(first, never_ending()), timeout=30)
    assert next(call).index == 0
    code, message, _ = refusal(
        lambda: list(site.analysis.AnalyzeFrames(pushed("single", [videos.jpeg()]), timeout=10))
    )
    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert "pushes" in message
    call.cancel()
    until(lambda: site.get("single").status.state == Status.OFFLINE, what="the end of the push")
    assert (
        len(list(site.analysis.AnalyzeFrames(pushed("single", [videos.jpeg()]), timeout=10))) == 1
    )


def never_ending() -> Iterator[analysis_pb2.AnalyzeFramesRequest]:
    """Frames for as long as the call lasts, each a little later."""
    for index in itertools.count(3):
        frame = analysis_pb2.PushedFrame(image=videos.jpeg(index))
        frame.captured_at.FromMilliseconds(1_800_000_000_000 + index * 100)
        yield analysis_pb2.AnalyzeFramesRequest(frame=frame)


def snapshot(site: Any, stream_id: str, **fields: Any) -> tuple[Any, np.ndarray]:
    request = snapshots_pb2.GetSnapshotRequest(stream_id=stream_id, **fields)
    answer = site.snapshots.GetSnapshot(request, timeout=20)
    image = cv2.imdecode(np.frombuffer(answer.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return answer, image


def test_snapshots_show_what_was_analysed(site: Any, clips: Clips) -> None:
    left_half = Polygon(points=[Point(x=x, y=y) for x, y in [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]])
    site.add("masked", clips.long.as_uri(), privacy_masks=[left_half])
    site.wait_online("masked")
    site.wait("masked", lambda stream: stream.status.run == 1)
    answer, plain = snapshot(site, "masked")
    assert (answer.width_px, answer.height_px) == (320, 240) == plain.shape[1::-1]
    assert plain[:, :150].max() <= 8, "masked before anyone sees it"
    assert plain[:, 170:].min() >= 30
    assert answer.run == 1
    assert all(each.class_name == "person" for each in answer.detections)

    _, annotated = snapshot(site, "masked", annotated=True)
    changed = np.abs(annotated.astype(int) - plain.astype(int)).max(axis=2) > 80
    assert changed.mean() > 0.005, "boxes are drawn"
    smaller, image = snapshot(site, "masked", max_width_px=100)
    assert (smaller.width_px, smaller.height_px) == (100, 75) == image.shape[1::-1]


def test_a_stream_without_pictures_has_no_snapshot(site: Any, clips: Clips) -> None:
    site.add("ends", clips.short.as_uri(), source_pace=2)
    site.wait_offline("ends")
    code, message, _ = refusal(lambda: snapshot(site, "ends"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "offline" in message
    assert refusal(lambda: snapshot(site, "unknown"))[0] is grpc.StatusCode.NOT_FOUND

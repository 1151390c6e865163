"""Every kind of source, good and bad, seen through the service."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support import videos
from tests.support.errors import refusal
from tests.support.http_camera import file_server, mjpeg_camera, refusing_camera
from tests.support.site import DOORS, MARKER, Status, happened_s, is_online, retry_in_s, spec_of
from tests.support.videos import Clips
from vigil.v1 import rules_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Point

FAST = streams_pb2.Source.FAST
pytestmark = pytest.mark.timeout(90)


def ended(stream: streams_pb2.Stream) -> bool:
    return stream.status.state == Status.OFFLINE and stream.status.reason == Status.ENDED


def test_a_file_played_fast_loses_no_frame_that_is_due(site: Any, clips: Clips) -> None:
    site.add("fast", clips.long.as_uri(), detect_fps=25, source_pace=FAST, rules=[MARKER])
    stream = site.wait("fast", ended, timeout_s=60)
    assert not stream.status.HasField("next_retry")
    account = site.scrape().accounts()["fast"]
    assert (account.read, account.outcomes["analysed"], account.dropped) == (500, 500, {})
    assert [event.event_seq for event in site.listed("fast")] == list(range(1, 501))


def test_a_file_in_real_time_takes_its_own_time(site: Any, clips: Clips) -> None:
    site.add("paced", clips.short.as_uri(), detect_fps=25, rules=[MARKER])
    site.wait("paced", ended)
    account = site.scrape().accounts()["paced"]
    assert account.read == 50
    times = [happened_s(marker) for marker in site.listed("paced")]
    assert len(times) == account.outcomes["analysed"]
    late_s = sum(account.dropped.values()) / 25  # by a busy machine, perhaps at an end of the file
    assert 49 / 25 - late_s - 0.05 <= times[-1] - times[0] <= 49 / 25 + 0.05


def test_a_looped_file_begins_a_run_at_each_turn(site: Any, clips: Clips) -> None:
    site.add("loop", clips.short.as_uri(), source_loop=True, source_pace=FAST, rules=[MARKER])
    site.wait("loop", lambda stream: stream.status.run >= 3, timeout_s=60)
    site.remove("loop")
    runs = [event.run for event in site.listed("loop")]
    assert runs == sorted(runs)
    assert runs.count(1) == runs.count(2) == 10  # of 50 frames at 25 a second, 5 a second


@pytest.mark.parametrize("door", DOORS)
def test_a_file_whose_time_jumps_back_is_played_once_to_its_end(
    site: Any, clips: Clips, door: Any
) -> None:
    """As films that were cut together: the second half is another run, and nothing is seen twice."""
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'vigil[video]'")
    late = videos.write_h264(clips.root / "late.ts", frames=50, first=250)
    early = videos.write_h264(clips.root / "early.ts", frames=50)
    cut = clips.root / f"cut-{door}.ts"
    cut.write_bytes(late.read_bytes() + early.read_bytes())
    stream_id = f"cut-{door}"
    fields = {"detect_fps": 25, "source_pace": FAST, "source_backend": door}
    site.add(stream_id, cut.as_uri(), rules=[MARKER], **fields)
    status = site.wait(stream_id, ended, timeout_s=60).status
    assert (status.run, status.reconnects) == (2, 0)
    runs = [marker.run for marker in site.listed(stream_id)]
    assert runs == sorted(runs)
    assert 95 <= len(runs) <= 100, "the frame at which time jumps is lost, and no other twice"
    assert site.scrape().accounts()[stream_id].balances


def test_a_folder_of_pictures_is_played_in_name_order(site: Any, clips: Clips) -> None:
    site.add(
        "folder",
        clips.pictures.as_uri().replace("file:", "folder:"),
        detect_fps=10,
        source_folder_fps=10,
        source_pace=FAST,
    )
    stream = site.wait("folder", ended)
    assert (stream.status.width_px, stream.status.height_px) == (320, 240)
    account = site.scrape().accounts()["folder"]
    assert (account.read, account.outcomes["analysed"]) == (10, 10)


@pytest.mark.parametrize("door", DOORS)
def test_motion_jpeg_over_http_is_read_and_read_again(site: Any, door: Any) -> None:
    mjpeg = f"mjpeg-{door}"
    with mjpeg_camera() as camera:
        site.add(mjpeg, f"{camera.url}/video", rules=[MARKER], source_backend=door)
        site.wait_online(mjpeg)
        assert {event.run for event in site.wait_marks(mjpeg, 4)} == {1}
    lost = site.wait_offline(mjpeg)
    assert lost.status.reason == Status.UNREACHABLE
    assert lost.status.HasField("next_retry")


@pytest.mark.parametrize("door", DOORS)
def test_hls_is_read(site: Any, tmp_path: Path, door: Any) -> None:
    av = pytest.importorskip("av", reason="PyAV makes the segments: pip install 'vigil[video]'")
    write_hls(av, tmp_path)
    with file_server(tmp_path) as server:
        site.add("hls", f"{server.url}/live.m3u8", rules=[MARKER], source_backend=door)
        stream = site.wait_online("hls")
        assert (stream.status.width_px, stream.status.height_px) == (320, 240)
        assert len(site.wait_marks("hls", 3)) == 3


def write_hls(av: Any, folder: Path) -> None:
    """Segments of a second, and a playlist that does not end: a live stream."""
    from tests.support import videos

    with av.open(
        str(folder / "live.m3u8"),
        "w",
        format="hls",
        options={"hls_time": "1", "hls_flags": "omit_endlist", "hls_list_size": "0"},
    ) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = videos.WIDTH_PX, videos.HEIGHT_PX, "yuv420p"
        stream.gop_size = 25
        for index in range(125):
            frame = av.VideoFrame.from_ndarray(videos.picture(index), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


ZONE_OF_TWO = rules_pb2.Rule(
    rule_id="z", zone=rules_pb2.ZoneRule(polygon=[Point(x=0, y=0), Point(x=1, y=1)])
)
NOT_A_NUMBER = rules_pb2.Rule(
    rule_id="l", line=rules_pb2.LineRule(points=[Point(x=0, y=float("nan")), Point(x=1, y=1)])
)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("source.uri", {"uri": "rtsp://"}),
        ("source.uri", {"uri": "no address at all"}),
        ("source.uri", {"uri": "gopher://camera/1"}),
        ("source.uri", {"uri": "file:///etc/passwd"}),
        ("source.uri", {"uri": ""}),
        ("rules[0].zone.polygon", {"rules": [ZONE_OF_TWO]}),
        ("rules[0].line.points[0].y", {"rules": [NOT_A_NUMBER]}),
        ("detect_fps", {"detect_fps": -1}),
    ],
)
def test_what_a_request_shows_is_refused_with_its_field(
    site: Any, field: str, fields: dict[str, Any]
) -> None:
    fields = {"uri": "rtsp://127.0.0.1/live", **fields}
    request = streams_pb2.AddStreamRequest(spec=spec_of("bad", fields.pop("uri"), **fields))
    code, message, named = refusal(lambda: site.streams.AddStream(request, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert any(path.removeprefix("spec.") == field for path in named), (message, named)
    code, _, _ = refusal(lambda: site.get("bad"))
    assert code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mp4", Status.UNREACHABLE),
        ("notes.mp4", Status.UNSUPPORTED),
        ("empty.mp4", Status.NO_VIDEO),
        ("truncated.mp4", Status.UNSUPPORTED),
        ("pictures", Status.UNSUPPORTED),
    ],
)
def test_what_only_opening_shows_is_a_typed_state(
    site: Any, clips: Clips, name: str, reason: Any
) -> None:
    stream_id = "bad-" + name.replace(".", "-")
    site.add("good", clips.long.as_uri(), rules=[MARKER])
    site.add(stream_id, (clips.root / name).as_uri())
    status = site.wait_offline(stream_id).status
    assert status.reason == reason
    assert status.detail
    assert status.HasField("next_retry")
    assert status.next_retry.ToNanoseconds() > status.since.ToNanoseconds()
    site.wait_online("good")
    assert site.wait_marks("good", 2)
    account = site.scrape().accounts()[stream_id]
    assert (account.read, account.in_flight) == (0, 0)


def test_a_file_that_was_played_is_not_played_again_by_a_restart(
    open_site: Callable[..., Any], clips: Clips
) -> None:
    """One that was interrupted is, from its beginning and as a new run."""
    with open_site() as site:
        site.add("done", clips.short.as_uri(), source_pace=2, rules=[MARKER])
        site.add("half", clips.long.as_uri(), rules=[MARKER])
        assert site.wait_offline("done").status.reason == Status.ENDED
        site.wait_marks("half", 5)  # by then the end of the other is on disk
        site.vigil.kill()
        site.start()
        assert site.wait_online("half").status.run == 2
        done = site.wait_offline("done").status
        assert done.reason == Status.ENDED
        assert "before the service was started" in done.detail
        site.update("done", "labels", labels={"floor": "1"})
        assert site.get("done").status.reason == Status.ENDED
        site.update("done", "enabled", enabled=False)
        site.update("done", "enabled", enabled=True)
        again = site.wait("done", lambda stream: stream.status.run == 2)
        assert again.status.state != Status.DISABLED
        site.wait_offline("done")
        site.remove("done")
        runs = [event.run for event in site.listed("done")]
        assert runs == sorted(runs)
        assert set(runs) == {1, 2}


def test_a_file_that_appears_later_is_played(site: Any, clips: Clips) -> None:
    later = clips.root / "later.mp4"
    site.add("later", later.as_uri())
    site.wait_offline("later")
    later.write_bytes(clips.short.read_bytes())
    assert site.wait("later", is_online).status.reconnects >= 1


def test_cameras_that_refuse_are_told_apart(site: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        port = silent.getsockname()[1]
        site.add("refuses", f"rtsp://127.0.0.1:{port}/live")
        with refusing_camera(404) as none, refusing_camera(401) as locked:
            site.add("no-such-path", f"{none.url}/x")
            site.add("locked", f"{locked.url}/x")
            refuses = site.wait_offline("refuses").status
            no_path = site.wait_offline("no-such-path").status
            auth = site.wait_offline("locked").status
    assert refuses.reason == Status.UNREACHABLE
    assert "refuses connections" in refuses.detail
    assert no_path.reason == Status.NO_VIDEO
    assert auth.reason == Status.AUTH_FAILED
    assert 5.0 < retry_in_s(auth) <= 31.0, "a wrong password is tried again slowly"

"""Cameras and networks that fail in every way: typed states in time, back soon, nobody else hurt."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.support import rtsp
from tests.support.rtsp import RtspCamera
from tests.support.rtsp_wire import RtspWire
from tests.support.site import DOORS, MARKER, Status, is_online, retry_in_s
from tests.support.videos import Clips
from tests.support.waiting import until
from vigil.v1 import rules_pb2, streams_pb2
from vigil.v1.geometry_pb2 import Point

pytestmark = [
    pytest.mark.rtsp,
    pytest.mark.slow,
    pytest.mark.timeout(280),
    pytest.mark.skipif(bool(rtsp.why_not()), reason=rtsp.why_not()),
]
STATE_S = 10.0
CANARY = "canary-81c2"
ZONE = rules_pb2.Rule(
    rule_id="all",
    zone=rules_pb2.ZoneRule(polygon=[Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]),
)
Fault = Callable[[RtspCamera, RtspWire], None]


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    with RtspCamera(auth="digest", username="operator", password=CANARY) as started:
        yield started


@pytest.fixture
def wire(camera: RtspCamera) -> Iterator[RtspWire]:
    with RtspWire(camera.port) as relay:
        yield relay


def add(site: Any, stream_id: str, url: str, **more: Any) -> None:
    login = streams_pb2.Credentials(username="operator", password=CANARY)
    site.add(stream_id, url, source_credentials=login, rules=[MARKER], **more)


FAULTS: dict[str, tuple[Fault, Any]] = {
    "stalls": (lambda camera, wire: camera.stall(), Status.UNREACHABLE),
    "black hole": (lambda camera, wire: wire.black_hole(), Status.UNREACHABLE),
    "sends nothing": (lambda camera, wire: wire.send_nothing(), Status.UNREACHABLE),
    "cut": (lambda camera, wire: wire.cut(), Status.UNREACHABLE),
}


@pytest.mark.planted(
    "vigil.host.play:Play._live_end = lambda self: __import__('threading').Event().wait()",
    "vigil.host.play:Ended = lambda *a: __import__('threading').Event().wait()",
    caught="was not as wanted",
)
@pytest.mark.parametrize("door", DOORS)
def test_what_befalls_a_running_camera_is_a_state_in_time_and_it_comes_back(
    open_site: Callable[..., Any], clips: Clips, camera: RtspCamera, wire: RtspWire, door: Any
) -> None:
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="1") as site:
        site.add("other", clips.long.as_uri(), rules=[MARKER], source_loop=True)
        add(site, "gate", wire.url, source_backend=door)
        site.wait_online("gate")
        site.wait_online("other")
        before = site.scrape().accounts()["other"]
        for name, (fault, reason) in FAULTS.items():
            began_s = time.monotonic()
            fault(camera, wire)
            status = site.wait_offline("gate", timeout_s=STATE_S * 2).status
            took_s = time.monotonic() - began_s
            assert status.reason == reason, name
            assert took_s < STATE_S, f"{name}: OFFLINE only after {took_s:.1f} s"
            camera.go_on()
            wire.heal()
            if name == "cut":
                wire.mend()
            mended_s = time.monotonic()
            site.wait("gate", is_online, timeout_s=40)
            back_s = time.monotonic() - mended_s
            print(f"{name}: OFFLINE after {took_s:.1f} s, back {back_s:.1f} s after its end")
        after = site.scrape().accounts()
        lost = sum(after["other"].dropped.values()) - sum(before.dropped.values())
        read = after["other"].read - before.read
        print(f"the other stream lost {lost} of {read} frames")
        assert all(account.balances for account in after.values())
        assert CANARY not in site.log()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda camera, wire: wire.black_hole(), Status.UNREACHABLE),
        (lambda camera, wire: wire.send_nothing(), Status.NO_VIDEO),
        (lambda camera, wire: wire.cut(), Status.UNREACHABLE),
        (lambda camera, wire: wire.refuse("401 Unauthorized"), Status.AUTH_FAILED),
        (lambda camera, wire: camera.change_password("another"), Status.AUTH_FAILED),
        (lambda camera, wire: wire.redirect("rtsp://169.254.1.1/x"), Status.REFUSED_BY_POLICY),
        (lambda camera, wire: wire.refuse("503 Service Unavailable"), Status.UNREACHABLE),
    ],
    ids=["black-hole", "nothing", "refuses", "401", "password", "redirects", "503"],
)
def test_a_camera_that_does_not_open_says_why_in_time(
    site: Any, camera: RtspCamera, wire: RtspWire, fault: Fault, reason: Any
) -> None:
    fault(camera, wire)
    began_s = time.monotonic()
    add(site, "gate", wire.url)
    status = site.wait_offline("gate").status
    took_s = time.monotonic() - began_s
    print(f"{Status.Reason.Name(reason)} after {took_s:.1f} s")
    assert status.reason == reason, status
    assert took_s < STATE_S
    slow = reason == Status.AUTH_FAILED
    assert status.HasField("next_retry")
    assert retry_in_s(status) <= (31 if slow else 11)
    assert not slow or retry_in_s(status) > 5
    assert CANARY not in site.log()


@pytest.mark.planted("vigil.host.timeline:JITTER_S = 1e9", caught="run 1 goes on|was not as wanted")
@pytest.mark.parametrize("door", DOORS)
def test_time_that_jumps_back_begins_a_run_and_time_that_wraps_or_leaps_does_not(
    open_site: Callable[..., Any], camera: RtspCamera, wire: RtspWire, door: Any
) -> None:
    wire.jump_to_wrap(in_s=15.0)
    with open_site() as site:
        add(site, "gate", wire.url, source_backend=door)
        site.wait_online("gate")
        numbers = [event.event_seq for event in site.wait_marks("gate", 100, timeout_s=60)]
        wire.jump(30.0)
        numbers += [event.event_seq for event in site.wait_marks("gate", 10)]
        assert site.get("gate").status.run == 1, "a wrap or a gap restarted it"
        wire.jump(-20.0)
        site.wait("gate", lambda s: is_online(s) and s.status.run == 2, timeout_s=30)
        numbers += [event.event_seq for event in site.wait_marks("gate", 5)]
        assert len(set(numbers)) == len(numbers), "counted twice"
        print(f"wrap and gap: run 1 to the end; backward: run 2; {len(numbers)} events, none twice")


@pytest.mark.parametrize("door", DOORS)
def test_a_picture_of_another_size_leaves_zones_where_they_are(
    open_site: Callable[..., Any], camera: RtspCamera, wire: RtspWire, door: Any
) -> None:
    """The grid model's boxes are fixed parts of the picture: nobody enters or leaves a zone by a change."""
    with open_site() as site:
        add(site, "gate", wire.url, source_backend=door)
        site.update("gate", "rules", rules=[MARKER, ZONE])
        site.wait_online("gate")
        site.wait_marks("gate", 15)
        before = [event for event in site.listed("gate") if event.type.startswith("zone")]
        camera.resize(480, 360)
        if door == streams_pb2.Source.PYAV:
            site.wait("gate", lambda s: (s.status.width_px, s.status.height_px) == (480, 360))
        site.wait_marks("gate", 20)
        after = [event for event in site.listed("gate") if event.type.startswith("zone")]
        print(f"{len(before)} zone events before the change, {len(after) - len(before)} after it")
        assert before
        assert len(after) == len(before), "zones moved"
        assert site.get("gate").status.run == 1


@pytest.mark.planted(
    "vigil.host.pyav_capture:PyAvCapture.corrupt = lambda self: False", caught="damage was analysed"
)
def test_lost_packets_and_no_key_frame_for_ten_seconds_are_survived(
    open_site: Callable[..., Any], clips: Clips, camera: RtspCamera, wire: RtspWire
) -> None:
    """By both doors at once; who comes while there is no key frame hears so, and is online after it."""
    with open_site(VIGIL_HOSTS__STREAMS_PER_HOST="4") as site:
        site.add("other", clips.long.as_uri(), rules=[MARKER], source_loop=True)
        for name, door in zip(("opencv", "pyav"), DOORS, strict=True):
            add(site, name, wire.url, source_backend=door)
        for name in ("opencv", "pyav", "other"):
            site.wait_marks(name, 2)
        before = site.scrape().accounts()
        wire.hold_key_frames()
        wire.lose(0.05)
        began_s = time.monotonic()
        add(site, "late", wire.url)
        late = site.wait_offline("late", timeout_s=STATE_S * 2).status
        print(f"late: {Status.Reason.Name(late.reason)} after {time.monotonic() - began_s:.1f} s")
        until(lambda: time.monotonic() - began_s > 10, timeout_s=20, what="ten seconds")
        during = site.scrape().accounts()
        wire.heal()
        healed_s = time.monotonic()
        for name in ("opencv", "pyav", "late"):
            site.wait_marks(name, 3, timeout_s=40)
        print(f"all analysed again {time.monotonic() - healed_s:.1f} s after the last loss")
        corrupt = during["pyav"].outcomes["corrupt"] - before["pyav"].outcomes["corrupt"]
        print(f"PyAV refused {corrupt} frames in ten seconds")
        assert corrupt > 20, "damage was analysed"
        assert site.scrape().total("vigil_process_restarts_total") == 0
        lost = sum(during["other"].dropped.values()) - sum(before["other"].dropped.values())
        read = during["other"].read - before["other"].read
        print(f"the other stream lost {lost} of {read} frames")
        assert all(account.balances for account in site.scrape().accounts().values())


@pytest.mark.planted(
    "vigil.host.backoff:LONGEST_S = 60.0", "vigil.host.backoff:FIRST_S = 60.0", caught="are back"
)
@pytest.mark.parametrize(
    ("door", "a_host"), [(streams_pb2.Source.OPENCV, 8), (streams_pb2.Source.PYAV, 25)]
)
def test_a_hundred_cameras_are_back_twenty_seconds_after_the_network(
    open_site: Callable[..., Any], door: Any, a_host: int
) -> None:
    """OpenCV opens one source after the other in a process: it has the default number of streams in each."""
    count, back_within_s = 100, 20.0
    with (
        RtspCamera(size_px=(96, 64), fps=15, gop=15) as camera,
        RtspWire(camera.port) as wire,
        open_site(
            VIGIL_HOSTS__STREAMS_PER_HOST=str(a_host),
            VIGIL_CAPTURE__OPEN_TIMEOUT_S="5",
            VIGIL_CAPTURE__READ_TIMEOUT_S="5",
        ) as site,
    ):
        names = [f"cam-{index}" for index in range(count)]
        for name in names:
            site.add(name, wire.url, detect_fps=0.2, source_backend=door)
        online = Counting(site, names)
        with online:
            until(lambda: online.count() == count, timeout_s=120, what="a hundred cameras online")
            wire.black_hole()
            until(lambda: online.count() == 0, timeout_s=60, what="a hundred cameras lost")
            wire.heal()
            began_s = time.monotonic()
            until(
                lambda: online.count() == count or time.monotonic() - began_s > back_within_s,
                timeout_s=back_within_s + 10,
            )
            took_s, back = time.monotonic() - began_s, online.count()
        print(f"{back} of {count} cameras back {took_s:.1f} s after the network")
        assert back == count, f"{back} of {count} cameras are back after {took_s:.1f} s"


class Counting:
    """How many streams are online, by one watch of all."""

    def __init__(self, site: Any, names: list[str]) -> None:
        request = streams_pb2.WatchStreamsRequest(stream_ids=names)
        self._call = site.streams.WatchStreams(request, timeout=260)
        self._online: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._watch)

    def count(self) -> int:
        return sum(list(self._online.values()))

    def _watch(self) -> None:
        with contextlib.suppress(grpc.RpcError):  # it is cancelled in the end
            for answer in self._call:
                self._online[answer.stream.spec.stream_id] = is_online(answer.stream)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._call.cancel()
        self._thread.join()

"""A real RTSP camera: lost and found, stalled, locked."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import rtsp
from tests.support.rtsp import RtspCamera
from tests.support.site import DOORS, MARKER, Status, is_online
from vigil.v1 import streams_pb2

CANARY = "canary-5e0fa7"
pytestmark = [
    pytest.mark.rtsp,
    pytest.mark.timeout(90),
    pytest.mark.skipif(bool(rtsp.why_not()), reason=rtsp.why_not()),
]


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    with RtspCamera() as started:
        yield started


LONGEST_WAIT_S = 10.0  # between two tries


def retry_in_s(status: streams_pb2.StreamStatus) -> float:
    return (status.next_retry.ToNanoseconds() - time.time_ns()) / 1e9


def test_a_camera_that_goes_away_is_offline_and_comes_back(site: Any, camera: RtspCamera) -> None:
    site.add("door", camera.url, rules=[MARKER])
    online = site.wait_online("door").status
    assert (online.run, online.width_px, online.height_px) == (1, 320, 240)
    assert {event.run for event in site.wait_marks("door", 5)} == {1}

    camera.kill()
    lost = site.wait_offline("door").status
    assert lost.reason == Status.UNREACHABLE
    assert lost.detail
    assert retry_in_s(lost) <= LONGEST_WAIT_S
    again = site.wait(
        "door", lambda s: s.status.state == Status.OFFLINE and s.status.reconnects >= 2
    ).status
    assert "refuses connections" in again.detail
    assert retry_in_s(again) <= LONGEST_WAIT_S
    assert site.get("door").status.run == 1

    camera.start()
    back = site.wait("door", lambda s: is_online(s) and s.status.run == 2, timeout_s=20)
    assert back.status.reconnects >= 2
    assert {event.run for event in site.wait_marks("door", 3)} == {2}
    samples = site.scrape()
    lost_times = samples.value(
        "vigil_stream_reconnects_total", stream_id="door", reason="unreachable"
    )
    assert lost_times == back.status.reconnects
    assert samples.accounts()["door"].balances


def test_a_camera_is_open_at_the_first_try(site: Any, camera: RtspCamera) -> None:
    """Asking it first where it leads to must not make it refuse the one who asks next."""
    for index in range(6):
        stream_id = f"again-{index}"
        site.add(stream_id, camera.url)
        assert site.wait_online(stream_id).status.reconnects == 0
        site.remove(stream_id)


@pytest.mark.parametrize("door", DOORS)
def test_a_camera_that_stalls_is_offline_within_ten_seconds(
    site: Any, camera: RtspCamera, door: Any
) -> None:
    stalls = f"stalls-{door}"
    site.add(stalls, camera.url, rules=[MARKER], source_backend=door)
    site.wait_online(stalls)
    site.wait_marks(stalls, 2)
    camera.stall()
    stalled_s = time.monotonic()
    lost = site.wait_offline(stalls).status
    assert time.monotonic() - stalled_s < 10
    assert lost.reason == Status.UNREACHABLE
    camera.go_on()
    site.wait(stalls, lambda s: is_online(s) and s.status.run == 2, timeout_s=20)


def test_a_camera_that_never_answers_is_offline_within_ten_seconds(site: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        site.add("mute", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live")
        lost = site.wait_offline("mute").status
        assert time.monotonic() - began_s < 10
    assert lost.reason == Status.UNREACHABLE
    assert "does not answer" in lost.detail


@pytest.mark.parametrize(("auth", "door"), list(zip(["basic", "digest"], DOORS, strict=True)))
def test_a_password_opens_a_camera_and_shows_nowhere(site: Any, auth: str, door: Any) -> None:
    stream_id = f"locked-{auth}"
    with RtspCamera(auth=auth, username="operator", password=CANARY) as camera:
        wrong = streams_pb2.Credentials(username="operator", password=f"{CANARY}-wrong")
        source = {"source_uri": camera.url, "source_backend": door}
        added = site.add(
            stream_id, camera.url, source_credentials=wrong, source_backend=door, rules=[MARKER]
        )
        refused = site.wait_offline(stream_id)
        assert refused.status.reason == Status.AUTH_FAILED
        first, next_ = refused.status.since, refused.status.next_retry
        assert 14 <= next_.seconds - first.seconds <= 31, "slowly: cameras lock accounts"

        right = streams_pb2.Credentials(username="operator", password=CANARY)
        changed = site.update(stream_id, "source", source_credentials=right, **source)
        online = site.wait_online(stream_id)
        marks = site.wait_marks(stream_id, 2)
    lost = site.wait_offline(stream_id)

    assert online.spec.source.has_credentials
    shown = [added, refused, changed, online, lost, *marks, site.get(stream_id)]
    shown += [site.log(), site.fetch("/metrics"), *(e.data for e in site.entries(stream_id))]
    shown += [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert [text for text in map(str, shown) if CANARY in text] == []


def test_a_path_that_the_camera_does_not_have(site: Any, camera: RtspCamera) -> None:
    site.add("nowhere", camera.url.replace("/live", "/dead"))
    lost = site.wait_offline("nowhere").status
    assert lost.reason == Status.NO_VIDEO
    assert "404" in lost.detail

import shutil
import subprocess

import numpy as np
import pytest

from vigil.data import CompiledState, StreamState
from vigil.metrics.exposition import CONTENT_TYPE, render
from vigil.metrics.page import BATCH_BUCKETS, BUCKETS_S, STAGES, Account, Distribution
from vigil.metrics.service import Reading, ServiceMetrics, StreamReading


class Fleet:
    """A reading with something in every metric."""

    def read(self) -> Reading:
        seconds = Distribution(np.ones(len(BUCKETS_S) + 1, np.int64), 3.0)
        account = Account(read=7, in_flight=1, last_frame_s=1.75e9)
        account.outcomes["analysed"] = 6
        account.detections[0] = 4
        account.labels[1] = 3
        stream = StreamReading(
            stream_id="gate",
            state=StreamState.ONLINE,
            reconnects={"unreachable": 2},
            account=account,
            episodes={"camera.dark": 1, "object.left": 0},
        )
        return Reading(
            streams=[stream],
            stages=dict.fromkeys(STAGES, seconds),
            batches=Distribution(np.ones(len(BATCH_BUCKETS) + 1, np.int64), 30.0),
            queue_frames=3,
            oldest_frame_s=1.75e9,
            outbox_events=5,
            outbox_oldest_s=1.75e9,
            outbox_degraded=False,
            redis={"connected": False, "full": True},
            redis_risks={"eviction": True, "persistence": False},
            device={"device": "cpu", "precision": "float32", "model": "vigil-det-n"},
            compiled={"native": CompiledState.USED, "compiled": CompiledState.SLOWER},
            classes=("person", "car"),
            certificate_expires_s=1.76e9,
            labels=(("vehicle-type", "bus"), ("vehicle-type", "van")),
            crops={"classified": 5, "dropped_error": 1},
        )


@pytest.fixture
def page() -> bytes:
    metrics = ServiceMetrics()
    metrics.expose(Fleet())
    metrics.on_committed(events=2, wait_s=0.01)
    metrics.on_published("zone.enter", "new", 0.1)
    metrics.on_batch(events=2, duration_s=0.01)
    metrics.on_dropped("storage", 1)
    metrics.on_restart("host", "died")
    metrics.call_handled(
        service="vigil.v1.StreamService", method="AddStream", code="OK", duration_s=0.01
    )
    return render(metrics.registry)


NAMES = [
    "vigil_certificate_expires_timestamp_seconds",
    "vigil_stream_episodes",
    "vigil_stage_seconds_bucket",
    "vigil_latency_seconds_bucket",
    "vigil_frames_total",
    "vigil_frames_read_total",
    "vigil_frames_in_flight",
    "vigil_batch_size_bucket",
    "vigil_queue_frames",
    "vigil_oldest_frame_timestamp_seconds",
    "vigil_detections_total",
    "vigil_crops_total",
    "vigil_tracks_classified_total",
    "vigil_events_total",
    "vigil_outbox_events",
    "vigil_outbox_oldest_timestamp_seconds",
    "vigil_stream_state",
    "vigil_stream_last_frame_timestamp_seconds",
    "vigil_stream_reconnects_total",
    "vigil_process_restarts_total",
    "vigil_engine_device_info",
    "vigil_engine_compiled",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_metric_of_the_contract(page: bytes, name: str) -> None:
    assert any(line.startswith((f"{name}{{", f"{name} ")) for line in page.decode().splitlines())
    assert CONTENT_TYPE.startswith("text/plain")


@pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="needs promtool, from Debian's package prometheus (.ci/run installs it)",
)
def test_promtool_finds_nothing_to_say(page: bytes) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

"""A machine that is full says so, and takes streams again when there is room."""

import contextlib
from typing import Any

import grpc
import pytest

from tests.support.videos import Clips
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)


def refused(site: Any, clips: Clips, stream_id: str) -> str:
    """Why a stream is not admitted; empty where it is, and then it is removed again."""
    try:
        site.add(stream_id, clips.long.as_uri())
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
    site.remove(stream_id)
    return ""


def test_a_full_machine_refuses_streams_until_there_is_room(open_site: Any, clips: Clips) -> None:
    with open_site(VIGIL_HOSTS__MAX_LOAD="0.001") as site:  # what any stream uses is too much
        site.add("first", clips.long.as_uri())
        site.wait_online("first")
        reason = until(lambda: refused(site, clips, "second"), timeout_s=60)
        assert reason.startswith("RESOURCE_EXHAUSTED: no head-room")
        assert "hosts.max_load" in reason
        site.add("asleep", clips.long.as_uri(), enabled=False)
        assert site.get("first").status.run == 1

        site.remove("first")
        until(lambda: not refused(site, clips, "third"), timeout_s=60)
        with contextlib.suppress(grpc.RpcError):
            site.remove("asleep")

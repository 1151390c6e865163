import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from google.protobuf.json_format import ParseDict

from tests.unit.api.loopback import Site
from vigil.spec import Point, ZoneRule
from vigil.v1 import streams_pb2

README = (Path(__file__).parents[3] / "README.md").read_text()
YARD = ZoneRule(rule_id="yard", polygon=(Point(0, 0.5), Point(1, 0.5), Point(1, 1), Point(0, 1)))


async def test_the_first_stream_in_python_works_and_has_five_lines(site: Site) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert code.count("\n") == 5
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code.replace("127.0.0.1:50051", site.server.address)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CONNECTING" in done.stdout
    assert site.fleet.get("gate").spec.rules == (YARD,)


def test_the_first_stream_by_grpcurl_is_a_request_of_the_contract() -> None:
    (text,) = re.findall(r"grpcurl -plaintext -d '(.*?)'", README, re.DOTALL)
    request = ParseDict(json.loads(text), streams_pb2.AddStreamRequest())
    assert request.spec.stream_id == "gate"
    assert len(request.spec.rules[0].zone.polygon) == 4

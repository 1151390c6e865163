import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.api.loopback import Site
from tests.unit.cli.conftest import Run
from vigil.data import OfflineReason
from vigil.spec import Direction, LineRule, Pace, Point, TrackRule, ZoneRule

ZONE = "yard:0,0.5;1,0.5;1,1"
POLYGON = (Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0))


async def test_add_sends_what_the_flags_say(site: Site, run: Run, videos: Path) -> None:
    clip = videos / "gate 1.mp4"
    clip.touch()
    result = await run(
        *("stream", "add", "gate", str(clip), "--zone", ZONE, "--dwell", "2.5", "--tracks"),
        *("--line", "door:0,0.25;1,0.75", "--detect-fps", "8", "--class", "person"),
        *("--label", "site=north", "--pace", "fast", "--loop", "--disabled"),
    )
    assert result.exit_code == 0, result.output
    spec = site.fleet.get("gate").spec
    assert spec.source.uri == clip.as_uri()
    assert spec.source.pace is Pace.FAST
    assert spec.source.loop
    assert not spec.enabled
    assert spec.detect_fps == 8.0
    assert spec.classes == ("person",)
    assert spec.labels == {"site": "north"}
    assert spec.rules == (
        ZoneRule(rule_id="yard", polygon=POLYGON, dwell_s=2.5),
        LineRule(rule_id="door", points=(Point(0.0, 0.25), Point(1.0, 0.75))),
        TrackRule(rule_id="tracks"),
    )
    assert "DISABLED" in result.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "rules.toml",
            (
                '[[rules]]\nrule_id = "yard"\nzone = {polygon = [{x = 0, y = 0.5}, {x = 1, y = 0.5},'
                ' {x = 1, y = 1}], dwell = "3s"}\n[[rules]]\nrule_id = "door"\n'
                'line = {points = [{x = 0, y = 0.5}, {x = 1, y = 0.5}], direction = "LEFT"}\n'
            ),
        ),
        (
            "rules.json",
            json.dumps(
                [
                    {
                        "rule_id": "yard",
                        "zone": {"polygon": [point._asdict() for point in POLYGON], "dwell": "3s"},
                    },
                    {
                        "rule_id": "door",
                        "line": {
                            "points": [point._asdict() for point in POLYGON[:2]],
                            "direction": "LEFT",
                        },
                    },
                ]
            ),
        ),
    ],
)
async def test_rules_come_from_a_file(
    site: Site, run: Run, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    result = await run("stream", "add", "gate", "push:", "--rules", str(tmp_path / name))
    assert result.exit_code == 0, result.output
    assert site.fleet.get("gate").spec.rules == (
        ZoneRule(rule_id="yard", polygon=POLYGON, dwell_s=3.0),
        LineRule(rule_id="door", points=POLYGON[:2], direction=Direction.LEFT),
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--zone", "0,0.5;1,0.5"),
        ("--zone", "yard:"),
        ("--zone", "yard:0,0.5,3;1,0.5"),
        ("--line", "door:a,b"),
        ("--mask", "0,0;1"),
        ("--label", "novalue"),
        ("--priority", "-1"),
        ("--rules", "/none/rules.json"),
        ("--password-file", "/none"),
        ("--pace", "slow"),
    ],
)
async def test_wrong_flags_are_usage_errors(
    site: Site, run: Run, arguments: tuple[str, ...]
) -> None:
    result = await run("stream", "add", "gate", "push:", *arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert not site.fleet.streams


async def test_a_refusal_is_one_line_with_the_field(run: Run) -> None:
    result = await run(
        "stream", "add", "gate", "rtsp://camera.example/", "--zone", "yard:0,2;1,1;0,0"
    )
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "spec.rules[0].zone.polygon[0].y" in result.stderr
    assert "INVALID_ARGUMENT" in result.stderr


async def test_credentials_come_from_a_file_or_the_environment(
    site: Site, run: Run, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("canary\n")
    add = ("stream", "add", "gate", "rtsp://camera.example/", "--username", "admin")
    result = await run(*add, "--password-file", str(secret))
    assert result.exit_code == 0, result.output
    assert site.fleet.get("gate").spec.source.password == "canary"
    result = await run("stream", "show", "gate", "--json")
    assert json.loads(result.stdout)["spec"]["source"]["has_credentials"] is True
    assert "canary" not in result.output
    await run("stream", "remove", "gate")
    await run(*add, VIGIL_STREAM_PASSWORD="fromenv")
    assert site.fleet.get("gate").spec.source.password == "fromenv"


async def test_a_password_on_the_command_line_is_warned_of(run: Run) -> None:
    result = await run("stream", "add", "gate", "rtsp://user:canary@camera.example/")
    assert result.exit_code == 0
    assert "--password-file" in result.stderr
    assert "canary" not in result.output


async def test_update_changes_what_it_names(site: Site, run: Run) -> None:
    await run("stream", "add", "gate", "push:", "--zone", ZONE, "--label", "a=b", "--loop")
    result = await run("stream", "update", "gate", "--detect-fps", "2", "--enabled")
    assert result.exit_code == 0, result.output
    spec = site.fleet.get("gate").spec
    assert (spec.detect_fps, spec.labels, len(spec.rules)) == (2.0, {"a": "b"}, 1)
    await run("stream", "update", "gate", "--once")
    assert not site.fleet.get("gate").spec.source.loop
    assert site.fleet.get("gate").spec.source.uri == "push:"
    await run("stream", "update", "gate", "--no-rules")
    assert site.fleet.get("gate").spec.rules == ()
    assert site.fleet.get("gate").generation == 4


async def test_masks_are_set_shown_and_taken_away(site: Site, run: Run) -> None:
    masks = ("--mask", "0,0;0.2,0;0.2,0.3", "--mask", "0.8,0;1,0;1,1")
    await run("stream", "add", "gate", "push:", *masks)
    assert site.fleet.get("gate").spec.privacy_masks == (
        (Point(0.0, 0.0), Point(0.2, 0.0), Point(0.2, 0.3)),
        (Point(0.8, 0.0), Point(1.0, 0.0), Point(1.0, 1.0)),
    )
    assert "masks       2" in (await run("stream", "show", "gate")).stdout
    await run("stream", "update", "gate", "--no-masks")
    assert site.fleet.get("gate").spec.privacy_masks == ()


async def test_update_of_a_source_keeps_the_rest_of_it(site: Site, run: Run) -> None:
    await run("stream", "add", "gate", "rtsp://u:p@camera.example/a", "--pace", "fast", "--loop")
    await run("stream", "update", "gate", "--source", "rtsp://camera.example/b")
    source = site.fleet.get("gate").spec.source
    assert source.uri == "rtsp://camera.example/b"
    assert (source.pace, source.loop, source.password) == (Pace.FAST, True, "p")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("update", "gate"), 2, "name something"),
        (("update", "gate", "--no-rules", "--tracks"), 2, "--no-rules"),
        (("update", "gate", "--no-masks", "--mask", "0,0;1,0;1,1"), 2, "--no-masks"),
        (("update", "gate", "--priority", "2", "--generation", "9"), 1, "ABORTED"),
        (("update", "none", "--priority", "2"), 1, "NOT_FOUND"),
        (("show", "none"), 1, "NOT_FOUND"),
        (("remove", "none"), 1, "NOT_FOUND"),
        (("remove",), 2, "STREAM_ID"),
    ],
)
async def test_failures_have_their_exit_status(
    run: Run, arguments: tuple[str, ...], code: int, text: str
) -> None:
    await run("stream", "add", "gate", "push:")
    result = await run("stream", *arguments)
    assert result.exit_code == code
    assert text in result.stderr


async def test_list_shows_states_and_reasons(site: Site, run: Run) -> None:
    for stream_id in ("b", "a"):
        await run("stream", "add", stream_id, "rtsp://camera.example/live")
    await site.fleet.go_offline("a", OfflineReason.AUTH_FAILED)
    result = await run("stream", "list")
    header, first, second = result.stdout.splitlines()
    assert header.split()[:2] == ["STREAM", "STATE"]
    assert first.split()[:2] == ["a", "OFFLINE"]
    assert "AUTH_FAILED: connection refused; tried again now" in first
    assert second.split()[:2] == ["b", "CONNECTING"]
    assert "\x1b" not in result.stdout
    listed = json.loads((await run("stream", "list", "--json")).stdout)
    assert [one["spec"]["stream_id"] for one in listed["streams"]] == ["a", "b"]


async def test_an_empty_list_says_what_to_do(run: Run) -> None:
    result = await run("stream", "list")
    assert result.exit_code == 0
    assert "vigil stream add" in result.stderr
    assert json.loads((await run("stream", "list", "--json")).stdout) == {"streams": []}


async def test_watch_prints_changes_until_the_service_stops(site: Site, run: Run) -> None:
    await run("stream", "add", "gate", "push:")
    watching = asyncio.create_task(run("stream", "watch", "--json"))
    await asyncio.wait_for(site.fleet.seen.acquire(), 10)
    await site.fleet.go_offline("gate", OfflineReason.ENDED)
    await site.fleet.remove("gate")
    for _ in range(2):
        await asyncio.wait_for(site.fleet.seen.acquire(), 10)
    await site.server.__aexit__(None, None, None)
    result = await watching
    changes = [json.loads(line) for line in result.stdout.splitlines()]
    states = [change["stream"]["status"]["state"] for change in changes]
    assert states == ["CONNECTING", "OFFLINE", "OFFLINE"]
    assert changes[2]["removed"]
    assert result.exit_code == 1
    assert "stopping" in result.stderr


async def test_baseline_shows_the_learnt_week(run: Run) -> None:
    await run("stream", "add", "gate", "push:")
    result = await run("stream", "baseline", "gate", "hall", "--edge", "below")
    assert result.exit_code == 0, result.output
    state, header, *hours = result.stdout.splitlines()
    assert state == "hall below: warm, 168 of 168 hours have a limit"
    assert header.split() == ["HOUR,", "UTC", "USUAL", "SPREAD", "LIMIT", "VALUES"]
    assert len(hours) == 168
    assert hours[0].split() == ["Monday", "00:00", "2.0", "0.50", "0.0", "36"]
    whole = json.loads((await run("stream", "baseline", "gate", "hall", "--json")).stdout)
    assert (whole["edge"], len(whole["hours"])) == ("above", 168)
    missing = await run("stream", "baseline", "none", "hall")
    assert missing.exit_code == 1
    assert "NOT_FOUND" in missing.stderr


async def test_no_service_is_one_clear_line(run: Run) -> None:
    result = await run("stream", "list", "--address", "127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: no service answers at 127.0.0.1:1; is `vigil serve` running there?\n"
    )

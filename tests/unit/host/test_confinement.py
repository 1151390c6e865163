"""What a host process can no longer do once it is confined, tried in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vigil.host import landlock

CHILD = """
import json, os, socket, ssl, sys
from vigil.ipc.child import become_child
become_child("host")
from vigil.host.environment import set_environment
set_environment()
from vigil.host import app
threads = len(os.listdir("/proc/self/task"))
roots, outside = sys.argv[1:]
confined = app.confine([roots])

def tried(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return ""

status = open("/proc/self/status").read()
print(json.dumps({
    "threads": threads,
    "confined": confined,
    "status": dict(line.split(":\\t", 1) for line in status.splitlines()),
    "core": __import__("resource").getrlimit(4)[0],
    "read a source": tried(lambda: open(f"{roots}/clip").read()),
    "read beside": tried(lambda: open(f"{outside}/state").read()),
    "list beside": tried(lambda: os.listdir(outside)),
    "write to a source": tried(lambda: open(f"{roots}/clip", "w")),
    "make a file": tried(lambda: open(f"{outside}/new", "w")),
    "remove": tried(lambda: os.unlink(f"{roots}/clip")),
    "read another's environment": tried(lambda: open(f"/proc/{os.getppid()}/environ").read()),
    "signal": tried(lambda: os.kill(os.getppid(), 0)),
    "become another": tried(lambda: os.setuid(12345)) if os.getuid() == 0 else "PermissionError",
    "resolve": tried(lambda: socket.getaddrinfo("localhost", 80)),
    "trust": tried(ssl.create_default_context),
    "write nowhere": tried(lambda: open("/dev/null", "w").write("x")),
}))
"""
DENIED = "PermissionError"
needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("confined")
    roots, outside = folder / "clips", folder / "else"
    for each, name in ((roots, "clip"), (outside, "state")):
        each.mkdir()
        (each / name).write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(roots), str(outside)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_privileges_are_given_up(child: dict[str, object]) -> None:
    status = child["status"]
    assert isinstance(status, dict)
    assert status["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert child["core"] == 0
    assert child["become another"] == DENIED
    if os.geteuid() == 0:
        assert int(status["CapBnd"], 16) == 0


def test_no_thread_is_older_than_the_confinement(child: dict[str, object]) -> None:
    assert child["threads"] == 1


@needs_landlock
def test_nothing_but_the_sources_can_be_reached(child: dict[str, object]) -> None:
    assert child["confined"] is True
    assert child["read a source"] == ""
    for what in (
        *("read beside", "list beside", "write to a source", "make a file", "remove"),
        *("read another's environment", "signal"),
    ):
        assert child[what] == DENIED, what


def test_what_sources_need_still_works(child: dict[str, object]) -> None:
    for what in ("resolve", "trust", "write nowhere"):
        assert child[what] == "", what


def test_a_kernel_without_landlock_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert landlock.restrict(readable=[tmp_path], writable=[]) is False
    assert (tmp_path / "here").write_text("still") == 5

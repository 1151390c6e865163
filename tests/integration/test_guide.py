"""The operator's guide, followed to the letter: from a fresh checkout to an alert.

Every block of the section "Without containers" in docs/deploying.md is given to a shell as it stands, in a
network namespace of its own, so that the ports are those of the guide and nobody else's.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import rtsp
from tests.support.waiting import until
from vigil.events.embedded import find_server

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "deploying.md"
ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
PROGRAMS = ("unshare", "ip", "prometheus", "promtool", "curl", "make", "git")
END = "=== block ended with"


def why_not() -> str:
    """What this machine lacks for it; empty if nothing."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        return "this machine lets nobody have a network namespace of his own"
    return rtsp.why_not()


def blocks() -> list[str]:
    """The commands of the section, a block each."""
    section = re.split(r"^## ", GUIDE.read_text(), flags=re.MULTILINE)
    (wanted,) = [each for each in section if each.startswith("Without containers\n")]
    return re.findall(r"^```\n(.*?)^```", wanted, flags=re.MULTILINE | re.DOTALL)


def test_the_guide_has_the_blocks_that_are_followed() -> None:
    starts = [block.split()[:2] for block in blocks()]
    assert starts == [
        ["make", "install"],
        ["mkdir", "-p"],
        ["vigil", "stream"],
        ["vigil", "stream"],
        ["kill", "$camera"],
        ["vigil", "stream"],
    ]


class Shell:
    """An operator's terminal. `run` gives back what a block printed, once it has ended."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [*ALONE, "bash"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen = ""

    def run(self, block: str, *, succeeds: bool = True) -> str:
        """Type a block in."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho '{END}' $?\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            self.seen += line
            if line.startswith(END):
                assert not succeeds or line.strip() == f"{END} 0", f"{block}\n{self.seen}"
                return printed
            printed += line
        raise AssertionError(f"the shell ended\n{self.seen}")

    def close(self) -> None:
        """Ends everything that was started from it, which shares its process namespace."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """In a fresh checkout, with an installation that is ready (`make install` finds nothing to do)."""
    checkout = tmp_path / "vigil"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    (ROOT / ".venv" / ".installed").touch()
    shell = Shell(checkout)
    shell.run("ip link set lo up")
    shell.run(f"export PATH=$PATH:{find_server().parent}")
    try:
        yield shell
    finally:
        shell.close()


def until_it_prints(shell: Shell, block: str, *texts: str, timeout_s: float) -> None:
    """Type a block in again and again, as one does who waits for something."""

    def shown() -> bool:
        printed = shell.run(block, succeeds=False)
        return all(text in printed for text in texts)

    until(shown, timeout_s=timeout_s, what=f"{texts} of\n{block}\n{shell.seen}")


@pytest.mark.slow
@pytest.mark.rtsp
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_from_nothing_to_an_alert_because_a_camera_was_unplugged(shell: Shell) -> None:
    install, start, add, look, unplug, alarm = blocks()
    assert "[redis]" in shell.run(install)
    shell.run(start)
    shell.run(add)
    online = 'vigil_stream_state{instance="127.0.0.1:9464", job="vigil", state="online"'
    until_it_prints(shell, look, "ONLINE", online, timeout_s=120)
    assert "ALERTS" not in shell.run(alarm, succeeds=False)
    shell.run(unplug)
    until_it_prints(shell, alarm, "OFFLINE", "ALERTS{", 'stream_id="yard"', timeout_s=240)

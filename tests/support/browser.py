"""Chromium, as Debian has it, without a window: what it makes of a page."""

import shutil
import subprocess
import tempfile
from pathlib import Path

SECONDS = 4.0  # of a page's own time, which goes on as fast as it has nothing to wait for


def why_not() -> str:
    """Why there is no browser here; empty where there is one."""
    return (
        "" if shutil.which("chromium") else "needs Chromium, Debian's package (.ci/run installs it)"
    )


def dom(url: str) -> str:
    """The page as its script has left it, as HTML."""
    return _run("--dump-dom", url).decode()


def photograph(url: str, path: Path, *, width_px: int = 1400, height_px: int = 900) -> None:
    """The page as it is seen, as PNG."""
    _run(f"--screenshot={path}", f"--window-size={width_px},{height_px}", url)


def _run(*words: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="vigil-browser-") as profile:
        command = [
            *("chromium", "--headless", "--disable-gpu", "--hide-scrollbars"),
            "--no-sandbox",  # which root cannot have; the pages are our own
            *(f"--user-data-dir={profile}", f"--virtual-time-budget={SECONDS * 1000:.0f}"),
        ]
        done = subprocess.run([*command, *words], capture_output=True, timeout=100, check=True)
    return done.stdout

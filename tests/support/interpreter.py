"""An interpreter that another user can run: ours, or links to its files where it lies in somebody's home."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from vigil.fleet.child import become

_UNWANTED = shutil.ignore_patterns("site-packages", "test", "tests", "config-*", "idlelib")


class Interpreter(NamedTuple):
    """A program, and the environment in which it finds what we find."""

    program: str
    environment: dict[str, str]


def for_user(user: str, folder: Path) -> Interpreter:
    """One for that user; ``folder``, which he must be able to enter, takes the links."""
    ours = Interpreter(sys.executable, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    return ours if _runs(ours, user) else _linked(folder, ours)


def _runs(interpreter: Interpreter, user: str) -> bool:
    tried = [interpreter.program, "-c", "import ssl, vigil"]
    try:
        done = subprocess.run(
            tried, check=False, capture_output=True, env=interpreter.environment, **become(user)
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _linked(folder: Path, ours: Interpreter) -> Interpreter:
    base, stdlib = Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    _link(Path(sys.executable).resolve(), program)
    into = folder / stdlib.relative_to(base)
    shutil.copytree(stdlib, into, ignore=_UNWANTED, copy_function=_link)
    for library in (base / "lib").glob("libpython*.so*"):
        _link(library.resolve(), folder / "lib" / library.name)
    folders = [str(into), str(into / "lib-dynload")]
    outside = [each for each in filter(None, sys.path) if not Path(each).is_relative_to(base)]
    return Interpreter(
        str(program),
        {
            "PYTHONHOME": str(folder),
            "PYTHONPATH": os.pathsep.join([*folders, *outside]),
            "LD_LIBRARY_PATH": str(folder / "lib"),
        },
    )


def _link(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)

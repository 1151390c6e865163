"""What a child process leaves out of what its libraries would load."""

import sys


def do_without(*names: str) -> None:
    """Make imports of these modules fail from now on, for libraries that take them only where they are there.

    They must not have been loaded yet.
    """
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None: Python's own sign for it

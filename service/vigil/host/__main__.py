"""Entry of a host: ``python -m vigil.host FD FORM LEVEL`` (of logs), started by the service only."""

import os
import sys

from vigil.host.environment import set_environment
from vigil.ipc.lean import do_without

if __name__ == "__main__":
    # structlog would draw crashes with it, which `vigil.logs` does not want: 4 MiB
    do_without("rich")
    from vigil.ipc.child import become_child

    become_child("host", *sys.argv[2:])
    set_environment()
    from vigil.host.app import main
    from vigil.logs import StandardError

    status = main(int(sys.argv[1]))
    StandardError().flush()
    # A reader may be inside OpenCV, which the interpreter's end would pull from under it.
    os._exit(status)

"""Entry of a host process: ``python -m vigil.host FD``, started by the service only."""

import sys

from vigil.host.environment import set_environment
from vigil.ipc.child import become_child

if __name__ == "__main__":
    become_child("host")
    set_environment()
    from vigil.host.app import main

    sys.exit(main(int(sys.argv[1])))

"""Entry of the engine process: ``python -m vigil.engine FD``, started by the service only."""

import sys

from vigil.engine.app import main
from vigil.ipc.child import become_child

if __name__ == "__main__":
    become_child("engine")
    sys.exit(main(int(sys.argv[1])))

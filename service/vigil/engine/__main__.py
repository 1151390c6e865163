"""Entry of the engine: ``python -m vigil.engine FD FORM LEVEL`` (of logs), started by the service only."""

import os
import sys

from vigil.engine.allocator import keep_memory
from vigil.ipc.child import become_child

if __name__ == "__main__":
    become_child("engine", *sys.argv[2:])
    # Read by OpenMP when torch is loaded: threads that wait for work sleep, the decoders want the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_memory()
    from vigil.engine.app import main

    sys.exit(main(int(sys.argv[1])))

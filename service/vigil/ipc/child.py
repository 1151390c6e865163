"""What every child process of the service does first."""

import signal

import structlog

from vigil.ipc.privileges import give_up_privileges
from vigil.logs import configure_logs, take_over_process


def become_child(process: str, form: str = "console", level: str = "info") -> None:
    """Leave signals to the service, which ends its children by closing their sockets; log to stderr.

    A terminal's Ctrl-C and a container's SIGTERM reach every process of the group: a child that obeyed
    them would die before the service has drained it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    give_up_privileges()
    configure_logs(level=level, form=form)
    take_over_process()
    structlog.contextvars.bind_contextvars(process=process)

"""What every child process of the service does first."""

import logging
import signal
import sys

import structlog


def become_child(process: str) -> None:
    """Leave signals to the service, which ends its children by closing their sockets; log to stderr.

    A terminal's Ctrl-C and a container's SIGTERM reach every process of the group: a child that obeyed
    them would die before the service has drained it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)

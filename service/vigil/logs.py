"""The root of all logs of a process: one redactor, whoever logs, and crashes too."""

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog

from vigil.redact import REDACTOR


def configure_logs(*, level: str, renderer: Any, traces: Any) -> None:
    """Log to stderr through structlog.

    ``traces`` is the processor that makes text or values of exceptions; the redactor comes after it.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            traces,
            REDACTOR,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def take_over_process() -> None:
    """What libraries log, and crashes, go the same way. For processes that are vigil's own."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _unraisable


class _Forward(logging.Handler):
    """Takes what libraries log by the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        log: Callable[..., None] = structlog.get_logger().warning
        if record.levelno >= logging.ERROR:
            log = structlog.get_logger().error
        log("library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else ""
    error = args.exc_value
    trace = (args.exc_type, error, args.exc_traceback) if error is not None else None
    structlog.get_logger().critical("thread_crashed", thread=name, exc_info=trace)


def _unraisable(args: Any) -> None:
    trace = (args.exc_type, args.exc_value, args.exc_traceback)
    structlog.get_logger().error("unraisable", message=args.err_msg or "", exc_info=trace)

"""The root of all logs of a process: one form, one redactor, whoever logs, and crashes too."""

import contextlib
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from vigil.redact import REDACTOR

MOST_REPEATS = 10  # lines of one kind within…
WINDOW_S = 60.0
_MOST_KINDS = 2000  # the longest unseen are forgotten
_ABOUT = ("stream_id", "host", "rpc", "logger", "reason")  # with these a line is another kind
_TRACES = structlog.processors.ExceptionRenderer(  # a frame's locals hold whole definitions
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logs(*, level: str, form: str) -> None:
    """Log to stderr through structlog, ``form`` "json" for collectors or "console" for people."""
    json = form == "json"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            RepeatLimit(),
            structlog.processors.TimeStamper(fmt="iso"),
            _TRACES if json else structlog.processors.format_exc_info,
            REDACTOR,
            structlog.processors.JSONRenderer()
            if json
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, StandardError())),
    )


class StandardError:
    """Standard error as long as it takes lines: a log on a full disk must not end what it is about."""

    def write(self, text: str) -> None:
        """Write, or lose the text."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Hand over what was written, or lose it."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()


@dataclass(slots=True)
class _Window:
    """Lines of one kind since some moment."""

    began_s: float
    lines: int = 0
    left_out: int = 0


class RepeatLimit:
    """Lets a line of one kind through ten times a minute; the next one then says how many were left out.

    A kind is a level, an event and what it is about. A structlog processor; any thread may use it.
    """

    def __init__(
        self,
        *,
        most: int = MOST_REPEATS,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: OrderedDict[tuple[str, ...], _Window] = OrderedDict()

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Raises DropEvent for a line too many."""
        if method == "critical":
            return event
        kind = (method, str(event.get("event")), *(str(event.get(name)) for name in _ABOUT))
        with self._lock:
            left_out = self._count(kind)
        if left_out:
            event["left_out"] = left_out
        return event

    def _count(self, kind: tuple[str, ...]) -> int:
        now_s = self._clock()
        window = self._windows.pop(kind, None) or _Window(now_s)
        left_out = 0
        if now_s - window.began_s >= self._window_s:
            left_out, window = window.left_out, _Window(now_s)
        self._windows[kind] = window
        if len(self._windows) > _MOST_KINDS:
            self._windows.popitem(last=False)
        window.lines += 1
        if window.lines > self._most:
            window.left_out += 1
            raise structlog.DropEvent
        return left_out


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

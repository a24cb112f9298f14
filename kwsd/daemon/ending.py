"""How a run ends: its exit code and final message."""

import logging
import threading
from collections.abc import Callable

from kwsd.errors import KwsdError, OutputError
from kwsd.sinks.sink import Sink

logger = logging.getLogger(__name__)


def end_by(error: BaseException) -> tuple[int, tuple[str, ...]]:
    """The exit code for an error, and its message."""
    if isinstance(error, KwsdError):
        return error.exit_code, tuple(error.lines)
    logger.debug("what died", exc_info=error)
    return KwsdError.exit_code, (f"internal: {type(error).__name__}: {error}",)


def why(asked: bool, last_words: tuple[str, ...]) -> str:
    """The reason of the last state."""
    if last_words:
        return last_words[-1]
    return "asked to stop" if asked else "the end"


class Failure:
    """Reasons for a run to end unasked; set by other threads, checked by the main thread.

    Args:
        wake: wakes the main thread.

    Attributes:
        error: the error that ended a part of kwsd.
        output_closed: whether standard output, the only sink, has lost its reader: a quiet end.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self.output_closed = False
        self._wake = wake

    def sink_died(self, sink: Sink, error: BaseException) -> None:
        """A sink's thread ended with an error."""
        known = isinstance(error, KwsdError)
        self.error = error if known else KwsdError(f"sink {sink.name}", f"{type(error).__name__}: {error}")
        self._wake()

    def thread_died(self, arguments: threading.ExceptHookArgs) -> None:
        """A thread ended with an error that nothing else reports."""
        name = arguments.thread.name if arguments.thread else "thread"
        self.error = KwsdError(name, f"{arguments.exc_type.__name__}: {arguments.exc_value}")
        self._wake()

    def output_broke(self, _sink: Sink, error: OSError) -> None:
        """Standard output, the only sink, cannot be written: a closed pipe is a quiet end, anything else an error."""
        if isinstance(error, BrokenPipeError):
            self.output_closed = True
        else:
            self.error = OutputError("standard output", error.strerror or str(error), "Free space, or give a sink.")
        self._wake()

"""The log of training on standard error, with a progress bar below it on a terminal."""

import logging
import sys
import time
from typing import TextIO

_WIDTH = 30


def log_to(stream: TextIO, *, times: bool = True) -> "Progress":
    """The log's handler, new or from an earlier run in this process.

    Args:
        times: whether each entry begins with the local time.
    """
    root = logging.getLogger()
    installed = next((handler for handler in root.handlers if isinstance(handler, Progress)), None)
    handler = installed or Progress(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s" if times else "%(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    return handler


def log_plainly() -> None:
    """Sends a command's log to standard error, without decoration."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("kwsd_train").setLevel(logging.INFO)


class Progress(logging.StreamHandler[TextIO]):
    """A log handler that writes lines unchanged; on a terminal, a bar stays below them.

    Args:
        stream: standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._watched = stream.isatty()
        self._bar = ""
        self._first: tuple[int, float] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._erase()
        super().emit(record)
        self._draw()

    def step(self, done: int, total: int) -> None:
        """Show that ``done`` steps of ``total`` are done."""
        if not self._watched:
            return
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        steps, seconds = done - self._first[0], now - self._first[1]
        filled = _WIDTH * done // total
        left = f", {_time(seconds / steps * (total - done))} left" if steps else ""
        self._erase()
        self._bar = f"[{'#' * filled:<{_WIDTH}}] {done}/{total}{left}"
        self._draw()

    def end(self) -> None:
        """Remove the bar."""
        self._erase()
        self._bar, self._first = "", None

    def _erase(self) -> None:
        if self._bar:
            self.stream.write("\r\x1b[K")

    def _draw(self) -> None:
        if self._bar:
            self.stream.write(self._bar)
            self.flush()


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

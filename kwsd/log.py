"""The log: one line per message on standard error, never on standard output.

Text lines are ``kwsd: MESSAGE``, on a terminal preceded by the time; under systemd they begin with the priority for
journald.
JSON lines have the keys ``time``, ``level`` and ``message``.
"""

import logging
import os
import sys
import time
from typing import Literal

from kwsd import standard_error
from kwsd.events import encode, rfc3339

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# syslog(3) priorities, which begin a line as in sd-daemon(3).
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_CHARACTER_BYTES_MAX = 6  # of a control character, as \u001f


class _Text(logging.Formatter):
    def __init__(self, journal: bool, timed: bool) -> None:
        super().__init__()
        self._journal, self._timed = journal, timed

    def format(self, record: logging.LogRecord) -> str:
        line = "kwsd: " + " ".join(super().format(record).split())
        if self._timed:
            line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {line}"
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._journal else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The record's line, its message cut to fit, since a line cut by `standard_error` would not be JSON."""
        message = super().format(record)[: standard_error.LINE_BYTES]
        while (excess := _excess_bytes(line := _json(record, message))) > 0:
            message = message[: -max(1, excess // _CHARACTER_BYTES_MAX)]
        return line


def _json(record: logging.LogRecord, message: str) -> str:
    return encode({"time": rfc3339(record.created), "level": record.levelname.lower(), "message": message})


def _excess_bytes(line: str) -> int:
    return len(line.encode(errors="replace")) - (standard_error.LINE_BYTES - 1)


class _StandardError(logging.Handler):
    """Never waits for a slow reader."""

    def emit(self, record: logging.LogRecord) -> None:
        standard_error.write(self.format(record))


def setup(level: str = "info", form: Literal["text", "json"] | str = "text") -> None:
    """Sends the log of kwsd to standard error; a second call changes level and format."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    handler = _StandardError()
    handler.setFormatter(_Json() if form == "json" else _Text("JOURNAL_STREAM" in os.environ, on_terminal))
    logger = logging.getLogger("kwsd")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(LEVELS[level])
    logging.raiseExceptions = False  # a log that cannot be written must not stop kwsd

"""The meter of a running kwsd, over its socket, so that no device is opened twice."""

import logging
import math
import time
from typing import TYPE_CHECKING

from kwsd.cli.display import REDRAW_S, Display, Moment
from kwsd.client import Connection, Message, connect
from kwsd.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

TYPES = ("detection", "status", "scores", "peaks")


class RemoteMeter:
    """Shows what a running kwsd hears: level, scores, thresholds, peaks and words.

    Args:
        path: its socket.
        display: shows it.
        listener: of several listeners this one; None for the first.

    Raises:
        UnavailableError: no kwsd answers.
    """

    def __init__(self, path: str, display: Display, listener: str | None = None) -> None:
        self._path, self._display, self._listener = path, display, listener
        self._scores: Mapping[str, float] = {}
        self._level_dbfs = float("-inf")
        self._state = self._heard = ""
        connection = self._connect(wait=False)
        assert connection is not None  # there is no reader to watch for, and no time limit
        self._connection = connection

    def run(self, seconds: float | None) -> None:
        """Runs until interrupted, or for this many seconds; reconnects when kwsd restarts."""
        try:
            self._show(seconds)
        finally:
            self._connection.close()

    def _show(self, seconds: float | None) -> None:
        now_s = time.monotonic()
        end_s = math.inf if seconds is None else now_s + seconds
        while now_s < end_s:
            message = self._receive(end_s)
            now_s = time.monotonic()
            if message is not None:
                self._take(message, now_s)
            if (self._scores or self._state) and self._display.is_due(now_s):
                self._display.show(self._moment(), now_s)

    def _connect(self, *, wait: bool, give_up_s: float = math.inf) -> Connection | None:
        connection = connect((self._path,), wait, lambda line: log.info("%s", line), give_up_s=give_up_s)
        if connection is None:
            return None
        connection.send({"subscribe": {"types": list(TYPES)}})
        self._is_outdated = True
        return connection

    def _receive(self, end_s: float) -> Message | None:
        try:
            if self._is_outdated:
                self._connection.send({"get": "status"})
                self._is_outdated = False
            return self._connection.receive(REDRAW_S)
        except TimeoutError:
            return None
        except OSError as error:
            log.info("lost the connection: %s", error.strerror or error)
            self._connection.close()
            self._connection = self._connect(wait=True, give_up_s=end_s) or self._connection
            return None

    def _take(self, message: Message, now_s: float) -> None:
        kind = message.get("type")
        if kind in ("scores", "peak", "detection") and message["listener"] != self._listener:
            return
        if kind == "scores":
            self._scores, self._level_dbfs = message["scores"], message["level_dbfs"]
        elif kind == "peak":
            self._display.hold(message["label"], message["score"], now_s)
            if message["label"] in self._display.thresholds:
                self._display.thresholds[message["label"]] = message["threshold"]
            self._heard = f"{message['label']} {message['score']:.2f}: {message['outcome']}"
        elif kind == "detection":
            self._heard = f"heard: {message['label']} ({message['score']:.2f})"
        elif kind == "status":
            self._state = "" if message["state"] == "listening" else f"{message['state']}: {message['reason']}"
            self._is_outdated = True  # words may have been armed or disarmed
        elif kind == "snapshot":
            self._choose(message["listeners"])
            self._display.thresholds.update(thresholds(message, self._listener or ""))

    def _choose(self, listeners: Message) -> None:
        """The listener that is shown. Raises UsageError where there is none of that name."""
        if self._listener is None:
            self._listener = next(iter(listeners))
        elif self._listener not in listeners:
            raise UsageError("--listener", f"that kwsd has no {self._listener!r}", f"It has {', '.join(listeners)}.")

    def _moment(self) -> Moment:
        return Moment(self._scores, self._level_dbfs, remark=f"{self._state}  {self._heard}".strip())


def thresholds(snapshot: Message, listener: str) -> dict[str, float]:
    """The current threshold of each word of a listener."""
    needed: dict[str, float] = snapshot["listeners"][listener]["thresholds"]
    return needed | {word: armed["threshold"] for word, armed in snapshot["armed"].items() if word in needed}

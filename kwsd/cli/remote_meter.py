"""The meter of a running kwsd, over its socket, so that no device is opened twice."""

import logging
import time
from typing import TYPE_CHECKING, Any

from kwsd.cli.display import REDRAW_S, Display, Moment
from kwsd.client import Connection, Message, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

TYPES = ("detection", "status", "scores", "peaks")


class RemoteMeter:
    """Shows what a running kwsd hears: level, scores, thresholds, peaks and words.

    Args:
        path: its socket.
        display: shows it.

    Raises:
        UnavailableError: no kwsd answers.
    """

    def __init__(self, path: str, display: Display) -> None:
        self._path, self._display = path, display
        self._scores: Mapping[str, float] = {}
        self._level_dbfs = float("-inf")
        self._state = self._heard = ""
        self._connection = self._connect(wait=False)

    def run(self, seconds: float | None) -> None:
        """Runs until interrupted, or for this many seconds; reconnects when kwsd restarts."""
        began_s = now_s = time.monotonic()
        while seconds is None or now_s - began_s < seconds:
            message = self._receive()
            now_s = time.monotonic()
            if message is not None:
                self._take(message, now_s)
            if self._scores and self._display.is_due(now_s):
                self._display.show(self._moment(), now_s)
        self._connection.close()

    def _connect(self, *, wait: bool) -> Connection:
        connection = connect((self._path,), wait, lambda line: log.info("%s", line))
        assert connection is not None  # there is no reader to watch for
        connection.send({"subscribe": {"types": list(TYPES)}})
        self._is_outdated = True
        return connection

    def _receive(self) -> Message | None:
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
            self._connection = self._connect(wait=True)
            return None

    def _take(self, message: Message, now_s: float) -> None:
        kind = message.get("type")
        if kind == "scores":
            self._scores, self._level_dbfs = message["scores"], message["level_dbfs"]
        elif kind == "peak":
            self._display.hold(message["label"], message["score"], now_s)
            self._display.thresholds[message["label"]] = message["threshold"]
            self._heard = f"{message['label']} {message['score']:.2f}: {message['outcome']}"
        elif kind == "detection":
            self._heard = f"heard: {message['label']} ({message['score']:.2f})"
        elif kind == "status":
            self._state = "" if message["state"] == "listening" else f"{message['state']}: {message['reason']}"
            self._is_outdated = True  # words may have been armed or disarmed
        elif kind == "snapshot":
            self._display.thresholds.update(thresholds(message))

    def _moment(self) -> Moment:
        return Moment(self._scores, self._level_dbfs, remark=f"{self._state}  {self._heard}".strip())


def thresholds(snapshot: Message) -> dict[str, float]:
    """The current threshold of each word, as far as a snapshot shows it."""
    listeners: dict[str, dict[str, Any]] = snapshot.get("listeners", {})
    needed = {word: score for one in listeners.values() for word, score in one.get("thresholds", {}).items()}
    return needed | {word: armed["threshold"] for word, armed in snapshot.get("armed", {}).items()}

"""The conversation with one client of the socket, with no I/O in it; docs/socket.md is its reference.

Bytes go in by `receive`, which answers a limited number of requests at a time, and events by `offer`; `outgoing`
returns what to send. The owner of the connection sends it, reports with `sent` how much the kernel took, and closes the
connection when it is `closing`.
"""

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from kwsd.events import json_line
from kwsd.sinks.sink import VERBS
from kwsd.validation.json_text import shown

PROTOCOL = 1
LINE_MAX_BYTES = 4096  # of a client's line, without its line end
ERRORS_MAX = 16
QUEUE_MAX_LINES = 256
QUEUE_MAX_BYTES = 256 * 1024  # of the same queue; the answer to a ping may be three times as long
TYPES = ("detection", "status", "scores", "peaks")
DEFAULT_TYPES = frozenset({"detection", "status"})

Answer = Callable[[], Mapping[str, Any]]


class Responder(NamedTuple):
    """The daemon's side of a conversation.

    Attributes:
        hello: returns the first line, without type and protocol; its ``labels`` are the known words.
        snapshot: returns the answer to ``{"get":"status"}``.
        status: returns the status event for the current state.
        report: returns the answer to ``{"get":"report"}``.
        control: carries out or rejects a request with one of VERBS, and returns the answer.
    """

    hello: Answer
    snapshot: Answer
    status: Answer
    report: Answer
    control: Callable[[Mapping[str, Any]], Mapping[str, Any]]


REQUESTS = frozenset({"subscribe", "get", "ping", *VERBS})


class RequestError(ValueError):
    """What is wrong with a client's line; the message is sent to that client."""


class Conversation:
    """One client's subscriptions, and the lines that wait to be sent to it.

    Args:
        responder: answers its requests.

    Attributes:
        labels: the words it wants; None for all.
        types: the types of events it wants.
        delivered: lines of events that were sent whole.
        dropped: lines of events that were dropped because the queue was full.
        waiting: lines of events that are not completely sent yet.
        behind: whether complete lines wait for `receive` to answer them; it should get no more bytes until then.
        closing: whether the connection is to be closed after `outgoing`; no more input is processed.
    """

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self.labels: frozenset[str] | None = None
        self.types = DEFAULT_TYPES
        self.delivered = self.dropped = self.waiting = 0
        self.behind = self.closing = False
        self._errors = 0
        self._received = b""
        self._lines: deque[tuple[bytes, bool]] = deque()  # each with whether it is an event
        self._bytes = 0  # of these
        self._begun, self._begun_is_event = b"", False  # the rest of a partly sent line
        self._missed = 0  # lines dropped since the client was last told
        self._queue(json_line({"type": "hello", "protocol": PROTOCOL, **responder.hello()}))

    def offer(self, event_type: str, label: str | None, line: bytes) -> None:
        """Queues the line of an event, if the client wants it; ``label`` is None for events without a word."""
        wanted = self.labels is None or label is None or label in self.labels
        if wanted and (event_type in self.types or f"{event_type}s" in self.types) and not self.closing:
            self._queue(line, is_event=True)

    def receive(self, data: bytes, requests_max: int = sys.maxsize) -> None:
        """Takes the client's bytes, in pieces of any size, and queues the answers to at most this many lines."""
        *lines, self._received = (self._received + data).split(b"\n", requests_max)
        for line in lines:
            if not self.closing:
                self._take(line)
        self.behind = b"\n" in self._received and not self.closing
        if len(self._received) > LINE_MAX_BYTES and not self.behind and not self.closing:
            self._take(self._received)

    def outgoing(self) -> bytes:
        """What to send next, at most one line; empty when all is sent."""
        if self._begun:
            return self._begun
        if self._missed:
            return json_line({"type": "dropped", "count": self._missed})
        return self._lines[0][0] if self._lines else b""

    def sent(self, count: int) -> None:
        """Records that the first ``count`` bytes (at least one) of `outgoing` were sent."""
        rest = self.outgoing()[count:]
        if not self._begun:
            if self._missed:
                self._missed, self._begun_is_event = 0, False
            else:
                line, self._begun_is_event = self._lines.popleft()
                self._bytes -= len(line)
        self._begun = rest
        if self._begun_is_event and not rest:
            self.delivered += 1
            self.waiting -= 1

    def _queue(self, line: bytes, is_event: bool = False) -> None:
        """Appends a line; the oldest are dropped if there are too many, or if they are too long together."""
        self._lines.append((line, is_event))
        self._bytes += len(line)
        self.waiting += is_event
        while len(self._lines) > QUEUE_MAX_LINES or (self._bytes > QUEUE_MAX_BYTES and len(self._lines) > 1):
            oldest, oldest_is_event = self._lines.popleft()
            self._bytes -= len(oldest)
            self._missed += 1
            self.dropped += oldest_is_event
            self.waiting -= oldest_is_event

    def _take(self, line: bytes) -> None:
        if len(line) > LINE_MAX_BYTES:
            self.closing = True
            self._queue(error_line(f"the line is longer than {LINE_MAX_BYTES} bytes; closing"))
            return
        try:
            self._answer(parse(line))
        except (RequestError, RecursionError) as error:
            self._errors += 1
            self.closing = self._errors >= ERRORS_MAX
            message = "this is nested too deeply" if isinstance(error, RecursionError) else str(error)
            self._queue(error_line(f"{message}; closing after {ERRORS_MAX} errors" if self.closing else message))

    def _answer(self, request: Mapping[str, Any]) -> None:
        match request:
            case {"ping": value}:
                self._queue(json_line({"type": "pong", "ping": value}))
            case {"get": "status"}:
                self._queue(json_line({"type": "snapshot", **self._responder.snapshot()}))
            case {"get": "report"}:
                self._queue(json_line(self._responder.report()))
            case {"get": what}:
                raise RequestError(f'"status" and "report" can be got, not {shown(what)}')
            case {"subscribe": wishes}:
                self._subscribe(wishes)
            case _:
                self._control(request)

    def _control(self, request: Mapping[str, Any]) -> None:
        answer = self._responder.control(request)
        if answer["type"] == "error":
            raise RequestError(answer["message"])
        self._queue(json_line(answer))

    def _subscribe(self, wishes: Any) -> None:
        """Applies a subscription completely, or not at all."""
        if not isinstance(wishes, dict) or wishes.keys() - {"labels", "types"}:
            raise RequestError(f'subscribe takes an object with "labels" and "types", not {shown(wishes)}')
        labels = types = None
        if "labels" in wishes:
            labels = _names("labels", wishes["labels"], self._responder.hello()["labels"])
        if "types" in wishes:
            types = _names("types", wishes["types"], TYPES)
        self.labels, self.types = labels, DEFAULT_TYPES if types is None else types
        if types is not None and "status" in types:  # sent at once, not only at the next change
            self._queue(json_line(self._responder.status()))


def error_line(message: str) -> bytes:
    """The line that reports an error to a client."""
    return json_line({"type": "error", "message": message})


def parse(line: bytes) -> dict[str, Any]:
    """One request, an object with one of the keys ``subscribe``, ``get``, ``ping``, or one of VERBS.

    Raises RequestError, and RecursionError if it is nested too deeply.
    """
    try:
        request = json.loads(line.decode(), parse_float=_finite, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise RequestError("this is not UTF-8") from error
    except ValueError as error:
        raise RequestError(f"this is not JSON: {error}") from error
    if not isinstance(request, dict) or len(request) != 1 or not request.keys() <= REQUESTS:
        raise RequestError(f"a request is an object with one key, one of {', '.join(sorted(REQUESTS))}")
    return request


def _names(key: str, names: Any, known: Any) -> frozenset[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f'"{key}" is a list of texts, not {shown(names)}')
    for name in names:
        if name not in known:
            raise RequestError(f'"{key}": {shown(name)} is not one of {", ".join(known)}')
    return frozenset(names)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON value")

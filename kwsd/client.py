"""The socket's client: `kwsd.watch` for Python programs, and the basis of `kwsd watch`."""

import json
import math
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any

from kwsd.errors import ConfigError, UnavailableError, UsageError
from kwsd.events import json_line
from kwsd.sinks.socket.protocol import PROTOCOL, TYPES

Message = dict[str, Any]

HELLO_S = 5.0  # time limit for kwsd's greeting
LOOK_S = 1.0  # longest single sleep: a signal just before it would not end it
RETRY_S = 0.2  # between two attempts to find a kwsd
LINE_MAX_BYTES = 2**20  # limit of a server's line, four times kwsd's longest, the greeting of a model with 1000 words


def watch(
    path: str | os.PathLike[str] | None = None,
    *,
    labels: Iterable[str] | None = None,
    types: Iterable[str] | None = None,
    wait: bool = True,
    tell: Callable[[str], object] | None = None,
    output_fd: int | None = None,
) -> Generator[Message, None, None]:
    """Yields the messages of a running kwsd as they come.

    Waits for a kwsd that is not running yet, and reconnects when it restarts; events in between are lost. Every message
    after the greeting is returned, including ``dropped`` (this reader was too slow) and types of later versions, so
    check ``message["type"]``. Ends only by `close()`, an error, or when the reader of ``output_fd`` is gone.

    Args:
        path: the socket; None for the default ones (`default_paths`).
        labels: the words wanted; None for all.
        types: the wanted types of events, of ``detection``, ``status``, ``scores``, ``peaks``; None for the first two.
            With ``status``, the current state is sent immediately too.
        wait: whether to wait for a kwsd; otherwise UnavailableError is raised if none is found.
        tell: called with a readable line when it begins to wait, and when it has found a kwsd.
        output_fd: a pipe to which the messages are written: the iterator ends when it has no reader any more.

    Yields:
        Messages as docs/events.md and docs/socket.md describe them; times are RFC 3339, ``audio_ms`` and
        ``latency_ms`` milliseconds, ``score`` 0..1.

    Raises:
        UnavailableError: no kwsd was found and ``wait`` is False.
        ConfigError: the model does not know one of ``labels``.
        ValueError: a type is unknown.
    """
    wanted = None if types is None else frozenset(types)
    if wanted is not None and not wanted <= set(TYPES):
        raise ValueError(f"types={sorted(wanted)}: they are {', '.join(TYPES)}")
    paths = default_paths() if path is None else (os.fspath(path),)
    words = None if labels is None else tuple(labels)
    return _watch(paths, words, wanted, wait, tell or (lambda line: None), output_fd)


def default_paths() -> tuple[str, ...]:
    """The default sockets of kwsd: as a system service, and as the user's."""
    folders = [
        os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0],
        "/run/kwsd",
        f"{runtime}/kwsd" if (runtime := os.environ.get("XDG_RUNTIME_DIR")) else "",
    ]
    return tuple(dict.fromkeys(f"{folder}/kwsd.sock" for folder in folders if folder))


class Connection:
    """A connection to a kwsd, after its greeting; a context that closes it.

    Attributes:
        hello: the greeting: ``version``, ``run``, ``model``, ``labels``, ``state``.

    Raises OSError if nothing answers, or something that does not speak this protocol.
    """

    def __init__(self, path: str, output_fd: int | None = None) -> None:
        self._output_fd = output_fd
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(HELLO_S)
            self._socket.connect(path)
            self._socket.setblocking(False)
            self.hello = self._greeting()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, request: Message) -> None:
        """Sends a request (docs/socket.md); it is short enough for any socket's buffer."""
        self._socket.sendall(json_line(request))

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None if the reader of ``output_fd`` is gone. Raises OSError if no more will come."""
        give_up_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._lines:
            left_s = LOOK_S if give_up_s is None else min(LOOK_S, give_up_s - time.monotonic())
            if left_s <= 0:
                raise TimeoutError("it does not answer")
            if not _wait(left_s, self._output_fd, self._socket.fileno()):
                return None
            self._read()
        try:
            message = json.loads(self._lines.popleft())
        except (ValueError, RecursionError) as error:
            raise ConnectionError("what answers there is not kwsd") from error
        if not isinstance(message, dict):
            raise ConnectionError("what answers there is not kwsd")
        return message

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("it closed the connection")
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)
        if len(self._rest) > LINE_MAX_BYTES:
            raise ConnectionError("what answers there is not kwsd")

    def _greeting(self) -> Message:
        hello = self.receive(HELLO_S) or {}
        if hello.get("type") == "error":
            raise ConnectionError(f"it refuses: {hello.get('message')}")
        if hello.get("type") != "hello":
            raise ConnectionError("what answers there is not kwsd")
        if hello.get("protocol") != PROTOCOL:
            raise ConnectionError(f"it speaks protocol {hello.get('protocol')}, this client {PROTOCOL}")
        words = hello.get("labels")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ConnectionError("what answers there is not kwsd")
        return hello


def _watch(
    paths: Sequence[str],
    labels: Sequence[str] | None,
    types: frozenset[str] | None,
    wait: bool,
    tell: Callable[[str], object],
    output_fd: int | None,
) -> Generator[Message, None, None]:
    while (connection := connect(paths, wait, tell, output_fd)) is not None:
        with connection:
            try:
                _subscribe(connection, labels, types)
                while (message := connection.receive()) is not None:
                    yield message
                return
            except OSError as error:
                tell(f"lost the connection: {_reason(error)}")


def connect(
    paths: Sequence[str],
    wait: bool,
    tell: Callable[[str], object],
    output_fd: int | None = None,
    give_up_s: float = math.inf,
) -> Connection | None:
    """The first kwsd found; None if the reader of ``output_fd`` is gone before, or it is too late.

    Args:
        paths: sockets to try.
        wait, tell, output_fd: as for `watch`.
        give_up_s: until when to wait, on the monotonic clock.

    Raises:
        UnavailableError: none was found and ``wait`` is False.
    """
    told = ""
    while True:
        reasons = []
        for path in paths:
            try:
                connection = Connection(path, output_fd)
            except OSError as error:
                reasons.append(f"{path} ({_reason(error)})")
                continue
            if told:
                tell(f"connected to {path}")
            return connection
        where = ", ".join(reasons)
        if not wait:
            raise UnavailableError("no kwsd to watch", f"looked at {where}", "Start one, or name its socket: --socket")
        if told != where:
            tell(f"no kwsd to watch yet; looked at {where}; waiting")
            told = where
        left_s = give_up_s - time.monotonic()
        if left_s <= 0 or not _wait(min(RETRY_S, left_s), output_fd):
            return None


def _subscribe(connection: Connection, labels: Sequence[str] | None, types: frozenset[str] | None) -> None:
    wishes: Message = {} if types is None else {"types": sorted(types)}
    if labels is not None:
        known = connection.hello["labels"]
        if unknown := [label for label in labels if label not in known]:
            words = ", ".join(map(repr, unknown))
            raise ConfigError(f"labels: the model has no word {words}. Its words are {', '.join(known)}")
        wishes["labels"] = list(labels)
    connection.send({"subscribe": wishes})


def _wait(seconds: float, output_fd: int | None, input_fd: int | None = None) -> bool:
    """Waits until there is something to read or the time is over; False if the output has no reader any more."""
    poller = select.poll()
    if input_fd is not None:
        poller.register(input_fd, select.POLLIN)
    if output_fd is not None:
        poller.register(output_fd, 0)  # no events: poll then reports only hang-ups and errors
    return all(fd != output_fd for fd, _ in poller.poll(seconds * 1000))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def ask(path: str | os.PathLike[str] | None, request: Message, answers: Iterable[str] = ("done",)) -> Message:
    """Sends one request to a running kwsd, and returns its answer.

    Args:
        path: as for `watch`.
        request: as in docs/socket.md.
        answers: the types of message that count as its answer.

    Raises:
        UnavailableError: no kwsd was found, or it does not answer.
        UsageError: it rejects the request.
    """
    paths = default_paths() if path is None else (os.fspath(path),)
    try:
        connection = connect(paths, wait=False, tell=lambda line: None, output_fd=None)
    except UnavailableError as error:
        raise UnavailableError("no kwsd answers", error.why, error.mend) from error
    assert connection is not None  # there is no reader to watch for
    wanted = frozenset(answers)
    with connection:
        try:
            connection.send(request)
            while message := connection.receive(HELLO_S):
                if message.get("type") == "error":
                    raise UsageError(next(iter(request)), str(message.get("message")))
                if message.get("type") in wanted:
                    return message
        except OSError as error:
            raise UnavailableError("kwsd", _reason(error)) from error
    raise UnavailableError("kwsd", "it does not answer")

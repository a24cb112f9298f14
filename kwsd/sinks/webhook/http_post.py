"""One HTTP POST with a limit on its total time: except for name look-up, no server can delay it longer.

http.client writes the request, since a webhook needs less than what HTTP libraries do: a new connection for each
attempt (words are rare, and no pooled connection can be stale), no redirects, no proxies, and no URL in any message.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO

from kwsd.sinks.webhook.answer import Answer, NoAnswerError, read_answer
from kwsd.sinks.webhook.url import Url

BODY_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_S = 0.5
"""How much of a response's body is read, and for how long: enough for a server to finish a small one."""


class PostError(Exception):
    """There was no response. The message says why, without showing the URL or anything that the server sent."""


class Poster:
    """Posts to one URL, one request at a time. `abort` may be called from any thread."""

    def __init__(self, url: Url) -> None:
        self.url = url
        # The system's certificates (or $SSL_CERT_FILE), with host names checked.
        self._tls = ssl.create_default_context() if url.secure else None
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._aborted = False

    def post(self, body: bytes, headers: Mapping[str, str], limit_s: float) -> Answer:
        """Sends the request and waits for the response's head, at most ``limit_s`` seconds in all. Raises PostError."""
        headers = {**headers, "Connection": "close"}
        if self.url.authorization is not None:
            headers["Authorization"] = self.url.authorization
        connection = _Connection(self.url, self._tls, time.monotonic() + limit_s)
        with self._lock:
            if self._aborted:
                raise PostError("kwsd is stopping")
            self._connection = connection
        try:
            with _cut_after(limit_s, connection):
                connection.request("POST", self.url.target, body, headers)
                answer = read_answer(connection.stream())
            if connection.is_cut:  # the end of the stream counts as the end of the head
                raise TimeoutError
            # The status is known. The body is read only because some servers complain about clients that hang up.
            count = BODY_LIMIT_BYTES if answer.body_bytes is None else min(answer.body_bytes, BODY_LIMIT_BYTES)
            with suppress(OSError), _cut_after(BODY_LIMIT_S, connection):
                connection.stream().read(count)
            return answer
        except (OSError, NoAnswerError, http.client.HTTPException) as error:
            raise PostError(self._reason(error, connection)) from None
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def abort(self) -> None:
        """Ends the current request, and all later ones."""
        with self._lock:
            self._aborted = True
            if self._connection is not None:
                self._connection.cut()

    def _reason(self, error: Exception, connection: "_Connection") -> str:
        if self._aborted:
            return "kwsd is stopping"
        if connection.is_cut or isinstance(error, TimeoutError):
            return "no answer in time"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate refused: {error.verify_message}"
        if isinstance(error, NoAnswerError):
            return str(error)
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        return type(error).__name__


class _Connection(http.client.HTTPConnection):
    """A connection that can be cut from another thread, whatever it waits for (except a name look-up)."""

    def __init__(self, url: Url, tls: ssl.SSLContext | None, deadline_s: float) -> None:
        super().__init__(url.host, url.port)
        self.default_port = 443 if url.secure else 80  # left out of the Host header
        self.is_cut = False
        self._tls = tls
        self._deadline_s = deadline_s
        self._handle: socket.socket | None = None
        self._stream: BinaryIO | None = None
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Connects to the first of the host's addresses that answers; each gets its share of the remaining time."""
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        failure = OSError("the name has no address")
        for index, (family, kind, protocol, _, address) in enumerate(addresses):
            channel = socket.socket(family, kind, protocol)
            try:
                self._hold(channel)
                channel.settimeout(self._left_s / (len(addresses) - index))
                channel.connect(address)
                channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                channel.settimeout(self._left_s)
                self.sock = self._tls.wrap_socket(channel, server_hostname=self.host) if self._tls else channel
                return
            except OSError as error:
                channel.close()
                if self.is_cut or isinstance(error, ssl.SSLCertVerificationError):
                    raise
                failure = error
        raise failure

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            if self._handle is not None:
                with suppress(OSError):  # the other side was faster
                    self._handle.shutdown(socket.SHUT_RDWR)

    def stream(self) -> BinaryIO:
        """The server's response."""
        if self._stream is None:
            self._stream = self.sock.makefile("rb")
        return self._stream

    def close(self) -> None:
        super().close()
        if self._stream is not None:
            self._stream.close()
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    @property
    def _left_s(self) -> float:
        return max(0.001, self._deadline_s - time.monotonic())

    def _hold(self, channel: socket.socket) -> None:
        """Keeps a second descriptor of the connection for `cut`, since TLS takes over the first one."""
        with self._lock:
            if self.is_cut:
                raise TimeoutError
            if self._handle is not None:
                self._handle.close()
            self._handle = channel.dup()


@contextmanager
def _cut_after(seconds: float, connection: _Connection) -> Iterator[None]:
    """Limits the total time; a socket's own time limit restarts with every byte received."""
    timer = threading.Timer(seconds, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

"""One HTTP POST whose whole time is bounded: name look-up aside, nothing a server does can hold it longer.

Built on http.client, for what a webhook needs is less than any HTTP library does: a fresh connection for each attempt
(words are rare, and no pooled connection can be stale), no redirects, no proxies, and no URL in any message.
"""

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

BODY_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_S = 0.5
"""How much of an answer's body is read, and for how long: enough that a server can finish a small one in peace."""

URL_MARKS = "/%:@!$&'()*+,;=~-._?[]"
"""What may stand in a path or query as it is; all else is percent-encoded."""


class PostError(Exception):
    """There was no answer. The message says why, without any part of the URL or of what the server sent."""


class Answer(NamedTuple):
    """The status code, and the Retry-After header as it came."""

    status: int
    retry_after: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """Where to post, taken apart. Raises ValueError, with a message that does not show the URL, in `parse`.

    Attributes:
        target: path and query, as the request line wants them.
        authorization: the Authorization header that the URL's user info stands for (Basic, RFC 7617), or None.
    """

    secure: bool
    host: str
    port: int
    target: str
    authorization: str | None

    @classmethod
    def parse(cls, text: str) -> "Url":
        try:
            parts = urlsplit(text)
            port = parts.port
            host = parts.hostname.encode("idna").decode() if parts.hostname else ""
        except (ValueError, UnicodeError):
            raise ValueError("is no valid URL") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("must be http://HOST/... or https://HOST/...")
        if any(character.isspace() or not character.isprintable() for character in text):
            raise ValueError("contains white space or control characters")
        target = quote(parts.path or "/", safe=URL_MARKS)
        if parts.query:
            target += "?" + quote(parts.query, safe=URL_MARKS)
        authorization = None
        if parts.username is not None:
            user_info = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(user_info.encode()).decode()
        secure = parts.scheme == "https"
        return cls(secure, host, port or (443 if secure else 80), target, authorization)

    def __str__(self) -> str:
        """What may be shown: neither user info nor query, nor the path, since many services keep their key there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.secure else 80) else f":{self.port}"
        return f"{'https' if self.secure else 'http'}://{host}{port}"


class Poster:
    """Posts to one URL, one request at a time. `abort` may be called from any thread."""

    def __init__(self, url: Url) -> None:
        self.url = url
        # The system's certificates (or $SSL_CERT_FILE), host names checked.
        self._tls = ssl.create_default_context() if url.secure else None
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._aborted = False

    def post(self, body: bytes, headers: Mapping[str, str], limit_s: float) -> Answer:
        """Sends the request and waits for the answer's head, at most ``limit_s`` seconds in all. Raises PostError."""
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
                response = connection.getresponse()
            if connection.is_cut:  # http.client takes the end of the stream for the end of the headers
                raise TimeoutError
            answer = Answer(response.status, response.headers.get("Retry-After"))
            # The status has decided. The body is read only because some servers complain of a caller who hangs up.
            # As it comes, not chunk by chunk: a chunk's size may be a lie, negative or without end.
            response.chunked = False
            with suppress(OSError, http.client.HTTPException), _cut_after(BODY_LIMIT_S, connection):
                response.read(BODY_LIMIT_BYTES)
            response.close()
            return answer
        except (OSError, http.client.HTTPException) as error:
            raise PostError(self._reason(error, connection)) from None
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def abort(self) -> None:
        """Ends the request that is under way, and all later ones."""
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
        if isinstance(error, http.client.RemoteDisconnected):
            return "connection closed without an answer"
        if isinstance(error, http.client.HTTPException):
            return f"the answer is no HTTP ({type(error).__name__})"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        return type(error).__name__


class _Connection(http.client.HTTPConnection):
    """A connection that can be cut from another thread, in whatever it waits for (except a name look-up)."""

    def __init__(self, url: Url, tls: ssl.SSLContext | None, deadline_s: float) -> None:
        super().__init__(url.host, url.port)
        self.default_port = 443 if url.secure else 80  # left out of the Host header
        self.is_cut = False
        self._tls = tls
        self._deadline_s = deadline_s
        self._handle: socket.socket | None = None
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Connects to the first of the host's addresses that answers; each gets its share of the time that is left."""
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

    def close(self) -> None:
        super().close()
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    @property
    def _left_s(self) -> float:
        return max(0.001, self._deadline_s - time.monotonic())

    def _hold(self, channel: socket.socket) -> None:
        """Keeps a second descriptor of the connection for `cut`: TLS takes the first one over."""
        with self._lock:
            if self.is_cut:
                raise TimeoutError
            if self._handle is not None:
                self._handle.close()
            self._handle = channel.dup()


@contextmanager
def _cut_after(seconds: float, connection: _Connection) -> Iterator[None]:
    """Bounds the whole of what is done inside; a socket's own time limit starts afresh with every byte received."""
    timer = threading.Timer(seconds, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

"""The answers to one connection's requests."""

import json
import logging
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from kwsd.events import encode, json_line
from kwsd.status import WELL

if TYPE_CHECKING:
    from kwsd.servers.http.access import Access
    from kwsd.servers.http.metrics import Metrics
    from kwsd.servers.http.settings import HttpSettings
    from kwsd.servers.http.stream import Stream
    from kwsd.sinks.sink import Services

log = logging.getLogger(__name__)

BODY_MAX_BYTES = 4096
KEEPALIVE_S = 15.0

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/login": ("login.html", "text/html; charset=utf-8"),
}
OPEN_TO_ALL = frozenset({"/page.css", "/login"})
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Owner(Protocol):
    """What a handler needs from the server; implemented by `HttpServer`."""

    settings: "HttpSettings"
    services: "Services"
    access: "Access"
    metrics: "Metrics | None"

    def expect(self, connection: socket.socket) -> None: ...
    def received(self, connection: socket.socket) -> None: ...
    def open_stream(self) -> "Stream | None": ...
    def close_stream(self, stream: "Stream") -> None: ...


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after another."""

    protocol_version = "HTTP/1.1"
    server: Owner  # type: ignore[assignment]

    def __init__(self, connection: socket.socket, address: Any, server: Owner) -> None:
        super().__init__(connection, address, server)  # type: ignore[arg-type]

    def handle_one_request(self) -> None:
        self.server.expect(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Page, stream, metrics, health."""
        path = self._admitted()
        if path == "/health":
            self._health()
        elif path == "/metrics" and (metrics := self.server.metrics) is not None:
            body, content_type = metrics.page(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, body, content_type)
        elif path == "/events" and self.server.settings.page:
            self._stream()
        elif path in FILES and self.server.settings.page:
            self._file(path)
        elif path is not None:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def do_HEAD(self) -> None:
        """The same as GET, without the body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Control requests, and the token."""
        path = self._admitted()
        if path == "/login" and self.server.access.needs_token:
            self._log_in()
        elif path == "/control" and self.server.settings.page:
            self._control()
        elif path is not None:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _admitted(self) -> str | None:
        """The requested path; None if the request was rejected, which has then been answered."""
        self._body = self._read_body()
        self.server.received(self.connection)
        if self._body is None:
            return None
        path = self.path.partition("?")[0]
        if (why := self.server.access.refuses(self.headers)) is not None:  # type: ignore[arg-type]
            self._say(HTTPStatus.FORBIDDEN, f"Refused: {why}.")
            return None
        if path in OPEN_TO_ALL or self.server.access.knows(self.headers):  # type: ignore[arg-type]
            return path
        if path == "/" and self.server.settings.page:
            self._file("/login", HTTPStatus.UNAUTHORIZED)
        else:
            self._say(HTTPStatus.UNAUTHORIZED, "This needs the token.", {"WWW-Authenticate": "Bearer"})
        return None

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") is not None or not length.isdecimal():
            self._say(HTTPStatus.LENGTH_REQUIRED, "A body needs its length.", {"Connection": "close"})
            return None
        if len(length) > 6 or int(length) > BODY_MAX_BYTES:
            text = f"At most {BODY_MAX_BYTES} bytes."
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text, {"Connection": "close"})
            return None
        return self.rfile.read(int(length))

    # The answers.

    def _health(self) -> None:
        snapshot = self.server.services.snapshot()
        status = HTTPStatus.OK if snapshot["state"] in WELL else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, json_line({"type": "snapshot", **snapshot}), "application/json")

    def _file(self, path: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        name, content_type = FILES[path]
        body = (resources.files("kwsd.servers.http") / "page" / name).read_bytes()
        self._answer(status, body, content_type)

    def _stream(self) -> None:
        """Sends events as they come, until the page is closed or kwsd ends."""
        stream = self.server.open_stream()
        if stream is None:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open.")
            return
        try:
            self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream", "Connection": "close"})
            hello = {"type": "hello", **self.server.services.hello()}
            self.wfile.write(b"data: " + encode(hello).encode(errors="replace") + b"\n\n")
            while self.command != "HEAD" and (events := stream.take(KEEPALIVE_S)) is not None:
                self.wfile.write(events or b":\n\n")
        finally:
            self.server.close_stream(stream)
            self.close_connection = True

    def _control(self) -> None:
        """Handles a control object (docs/socket.md); browsers can send it only from the page (see `Access.refuses`)."""
        assert self._body is not None
        if self.headers.get_content_type() != "application/json":
            self._say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This takes application/json.")
            return
        try:
            request = json.loads(self._body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._answer_json(HTTPStatus.BAD_REQUEST, {"type": "error", "message": "this is not a JSON object"})
            return
        answer = self.server.services.control(request)
        status = HTTPStatus.BAD_REQUEST if answer.get("type") == "error" else HTTPStatus.OK
        self._answer_json(status, answer)

    def _log_in(self) -> None:
        assert self._body is not None
        offered = parse_qs(self._body.decode(errors="replace")).get("token", [""])[0]  # of 4096 bytes at most
        if self.server.access.is_token(offered):
            headers = {"Location": "/", "Set-Cookie": self.server.access.cookie()}
            self._say(HTTPStatus.SEE_OTHER, "Welcome.", headers)
            return
        log.warning("http: %s: a wrong token", self.client_address[0])
        self._file("/login", HTTPStatus.UNAUTHORIZED)

    # Sending.

    def _say(self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)

    def _answer_json(self, status: HTTPStatus, message: dict[str, Any]) -> None:
        self._answer(status, json_line(message), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers requests that the standard library rejects: a bad request line, too many headers, unknown methods."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self._say(HTTPStatus(code), f"{HTTPStatus(code).phrase}.", {"Connection": "close"})

    def version_string(self) -> str:
        return "kwsd"

    def log_message(self, text: str, *values: Any) -> None:
        log.debug("http: %s: %s", self.client_address[0], (text % values).encode("ascii", "backslashreplace").decode())

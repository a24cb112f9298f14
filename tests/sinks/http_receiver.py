"""A real HTTP server on a free port of 127.0.0.1 that answers as it is told."""

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kwsd.events import DetectionEvent, rfc3339
from kwsd.uptime import uptime_s

Answer = int | tuple[int, dict[str, str]] | Callable[[BaseHTTPRequestHandler], None]

PATIENCE_S = 20.0
"""How long a test waits for what must come; it is met at once unless something is broken."""


@dataclass(frozen=True)
class Request:
    path: str
    headers: Message
    body: bytes
    arrived_s: float


class Receiver:
    """Answers the n-th request with the n-th of ``answers``, later ones with ``otherwise``.

    An answer is a status, a status with headers, or a function that gets the handler and does what it likes.
    """

    def __init__(self, answers: Iterable[Answer] = (), otherwise: Answer = 200, port: int = 0, pem: str | None = None):
        self.requests: list[Request] = []
        self.released = threading.Event()  # what hanging answers wait for
        self._answers, self._otherwise = iter(answers), otherwise
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args: object) -> None:
                """Callers that hang up are part of the tests."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int) -> list[Request]:
        """The requests, once there are ``count``."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE_S), self.requests
            return list(self.requests)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """An answer that does not come."""
        handler.close_connection = True
        self.released.wait(PATIENCE_S)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._changed:
            self.requests.append(Request(handler.path, handler.headers, body, time.monotonic()))
            answer = next(self._answers, self._otherwise)
            self._changed.notify_all()
        if callable(answer):
            answer(handler)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "3")
        handler.end_headers()
        handler.wfile.write(b"ok\n")


def detection(seq: int = 1, label: str = "stop", age_s: float = 0.0, run: str = "5f2c9a1e7b3d") -> DetectionEvent:
    """A word that was said ``age_s`` seconds ago."""
    return DetectionEvent(
        id=f"{run}-{seq}",
        seq=seq,
        time=rfc3339(time.time() - age_s),
        label=label,
        score=0.912,
        audio_ms=52340,
        latency_ms=31.4,
        model="kwsd-default",
        device="USB Audio",
        heard_s=uptime_s() - age_s,
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Waits for what must come about; fails where it does not."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it never came about"
        time.sleep(0.005)

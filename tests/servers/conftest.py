"""What the tests of the servers share: what a daemon offers to them."""

from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from kwsd.servers.http.server import HttpServer
from kwsd.servers.http.settings import HttpSettings
from kwsd.servers.settings import Address
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Services
from tests.helpers.broker import free_port

LABELS = ["_silence_", "_unknown_", "stop", "go", "<b>größer</b>"]


class Daemon:
    """What a daemon offers, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.state = "listening"
        self.services = Services(self.hello, self.snapshot, lambda *_: None, self.control, dict, dict)

    def hello(self) -> dict[str, Any]:
        return {"protocol": 1, "run": "5f2c9a1e7b3d", "model": "kwsd-default", "labels": LABELS, "state": self.state}

    def snapshot(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "reason": "audio flows",
            "since": "2026-11-21T09:29:00.000Z",
            "uptime_s": 10.0,
            "audio_s": 9.5,
            "samples_lost": 320,
            "overruns": 1,
            "strides": 230,
            "stride_ms": 40,
            "cpu_s": 1.5,
            "rss_mb": 55.0,
            "detections": 2,
            "sinks": {"stdout": {"queued": 0, "sent": 2, "dropped": 0, "retried": 0}},
            "clients": 1,
            "device": 'USB "Audio"',
            "model": "kwsd-default",
            "paused_until": None,
            "armed": {"stop": {"until": None, "threshold": 0.5}},
            "listeners": {
                "default": {
                    "models": ["kwsd-default"],
                    "level_dbfs": -41.5,
                    "thresholds": {"stop": 0.6},
                    "on_demand": ["stop"],
                }
            },
        }

    def control(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        verb = next(iter(request), "")
        if verb in ("pause", "resume", "arm", "disarm"):
            return {"type": "done", "did": verb}
        return {"type": "error", "message": f"there is no {verb!r}"}


class Answer:
    """What a request brought."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Served:
    """An HTTP server on a bus, as the daemon runs it."""

    def __init__(self, **keys: Any) -> None:
        self.daemon = Daemon()
        self.deaths: list[Any] = []
        self.port = free_port()
        keys.setdefault("listen", Address("127.0.0.1", self.port))
        self.server = HttpServer(HttpSettings(**keys), self.daemon.services)
        self.bus = Bus([self.server], lambda *death: self.deaths.append(death))
        self.bus.start()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """A request; ``_`` in the name of a header is ``-``, and headers of None are left out."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def close(self) -> None:
        self.bus.stop()
        assert self.deaths == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers, and stops them at the end."""
    servers: list[Served] = []

    def start(**keys: Any) -> Served:
        servers.append(Served(**keys))
        return servers[-1]

    yield start
    for server in servers:
        server.close()

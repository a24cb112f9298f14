"""What the tests of the sinks share: events to send, a served socket, clients that read it line by line."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kwsd.events import DetectionEvent, ScoresEvent, StatusEvent
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Services, Sink
from kwsd.sinks.socket.settings import SocketSettings
from kwsd.sinks.socket.sink import SocketSink
from kwsd.uptime import uptime_s

LABELS = ["_silence_", "_unknown_", "stop", "go", "größer"]
LIMIT_S = 20.0  # for what takes milliseconds on an idle machine


def detection(seq: int = 1, label: str = "stop") -> DetectionEvent:
    return DetectionEvent(
        id=f"5f2c9a1e7b3d-{seq}",
        seq=seq,
        time="2026-11-21T09:30:00.125Z",
        label=label,
        score=0.912,
        audio_ms=52340,
        latency_ms=31.4,
        model="kwsd-default",
        device="USB Audio",
        heard_s=uptime_s(),
    )


STATUS = StatusEvent("2026-11-21T09:30:00.125Z", "listening", "audio flows", "2026-11-21T09:29:00.000Z")
SCORES = ScoresEvent(52340, {"stop": 0.1, "go": 0.2}, -42.0)


class Peer:
    """A client of the socket that reads one line after the other."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(str(path))
        self._reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self._reader.readline()

    def read(self) -> dict[str, Any]:
        line = self.line()
        assert line, "the server closed the connection"
        return json.loads(line)

    def ask(self, request: object) -> dict[str, Any]:
        self.send(json.dumps(request).encode() + b"\n")
        return self.read()

    def ended(self) -> bool:
        """Whether the server has closed the connection and nothing is left to read."""
        try:
            return self.line() == b""
        except ConnectionResetError:  # it closed without reading all that we sent
            return True

    def close(self) -> None:
        self._reader.close()
        self.socket.close()


def is_running(sink: Sink) -> bool:
    """Whether the thread of a sink of this name runs."""
    return f"sink-{sink.name}" in {thread.name for thread in threading.enumerate()}


class Server:
    """A bus with a socket sink and maybe others, as the daemon runs it."""

    def __init__(self, path: Path, others: list[Any], **settings: Any) -> None:
        self.path, self.deaths = path, []
        self.state = "listening"
        self.asked: list[Mapping[str, Any]] = []
        self._peers: list[Peer] = []
        self.sink = SocketSink(SocketSettings(str(path), **settings), self.services)
        self.bus = Bus([self.sink, *others], lambda sink, error: self.deaths.append((sink.name, error)))
        self.bus.start()
        self.publish = self.bus.publish

    @property
    def services(self) -> Services:
        """What answers requests; a test may put other functions in place of `hello` and `snapshot` at any time."""
        return Services(
            lambda: self.hello(),
            lambda: self.snapshot(),
            lambda sink, error: None,
            self.control,
            self.report,
            dict,
        )

    def control(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        return {"type": "done", "did": next(iter(request))}

    def report(self) -> dict[str, Any]:
        return {"type": "report", "hours": 1.0}

    def hello(self) -> dict[str, Any]:
        return {"version": "0", "run": "5f2c9a1e7b3d", "model": "kwsd-default", "labels": LABELS, "state": self.state}

    def snapshot(self) -> dict[str, Any]:
        return {"state": self.state, "reason": "audio flows", "since": STATUS.since, "clients": self.sink.clients}

    def connect(self, greeted: bool = True) -> Peer:
        self._peers.append(Peer(self.path))
        if greeted:
            assert self._peers[-1].read()["type"] == "hello"
        return self._peers[-1]

    def subscriptions(self) -> list[tuple[frozenset[str] | None, frozenset[str]]]:
        """The labels and types that each client wants at this moment."""
        conversations = [client.conversation for client in list(self.sink._clients.values())]
        return [(conversation.labels, conversation.types) for conversation in conversations]

    def close(self) -> None:
        self.bus.stop()
        for peer in self._peers:
            peer.close()
        assert self.deaths == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, at ``tmp_path / "kwsd.sock"`` unless told otherwise, and stops them at the end."""
    servers = []

    def start(*others: Any, path: Path = tmp_path / "kwsd.sock", **settings: Any) -> Server:
        servers.append(Server(path, list(others), **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for a condition; fails when it does not come true."""

    def wait(condition: Callable[[], object]) -> None:
        give_up_s = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < give_up_s, "what was waited for did not happen"
            time.sleep(0.005)

    return wait


@pytest.fixture
def when(until: Callable[[Callable[[], object]], None]) -> Iterator[Callable[..., None]]:
    """``when(condition, *actions)`` does the actions in a thread as soon as the condition is true."""
    threads: list[tuple[threading.Thread, list[BaseException]]] = []

    def begin(condition: Callable[[], object], *actions: Callable[[], object]) -> None:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                until(condition)
                for action in actions:
                    action()
            except BaseException as error:
                errors.append(error)

        threads.append((threading.Thread(target=run, daemon=True), errors))
        threads[-1][0].start()

    yield begin
    for thread, errors in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        assert errors == []


@pytest.fixture
def make() -> Callable[..., DetectionEvent]:
    """Makes a detection: ``make(seq, label)``."""
    return detection


@pytest.fixture
def status() -> StatusEvent:
    return STATUS


@pytest.fixture
def scores() -> ScoresEvent:
    return SCORES

"""One daemon with every bad sink at once: none costs another an event. And a spool that outlives SIGKILL."""

import contextlib
import json
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.client import Connection
from tests.helpers.kwsd_process import DEMO, LIMIT_S, Kwsd, running
from tests.sinks.http_receiver import Receiver

ROUNDS = 4  # of the demo
SPOOL_LIMIT_BYTES = 20_000  # SQLite's own pages, and then the disk is full


def audio(rounds: int) -> bytes:
    """The demo so many times, as raw samples."""
    signal, _ = soundfile.read(DEMO, dtype="int16")
    return np.tile(signal, rounds).astype("<i2").tobytes()


def ids(receiver: Receiver) -> list[str]:
    """What was posted, in the order of the first time."""
    return list(dict.fromkeys(json.loads(request.body)["id"] for request in receiver.requests))


def numbers(posted: list[str]) -> list[int]:
    return [int(id.rpartition("-")[2]) for id in posted]


def feed(daemon: Kwsd, data: bytes) -> None:
    """Raw samples on its standard input, which then ends."""
    pipe = daemon.process.stdin
    assert pipe is not None
    pipe.buffer.write(data)
    pipe.close()


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Processes started meanwhile cannot make a file longer than the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_LIMIT_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Subscribers:
    """Two hundred, of whom a quarter reads and keeps the ids it got."""

    def __init__(self, path: Path) -> None:
        self.got: list[list[str]] = [[] for _ in range(50)]
        self._readers = [Connection(str(path)) for _ in self.got]
        self._others = [self._connect(path) for _ in range(150)]
        deaf, rude, gone = self._others[:50], self._others[50:100], self._others[100:]
        for peer in deaf:
            peer.sendall(b'{"subscribe":{"types":["detection","scores"]}}\n')  # and never reads
        for peer in rude:
            peer.sendall(b"\x00\xff garbage\n" * 10 + b"x" * 5000)
        for number, peer in enumerate(gone):
            peer.sendall(b'{"ping":')
            if number % 2:
                peer.close()
        self._threads = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in zip(self._readers, self.got, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _connect(path: Path) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(path))
        return peer

    @staticmethod
    def _read(connection: Connection, got: list[str]) -> None:
        with contextlib.suppress(OSError):  # the end of kwsd
            while (message := connection.receive(LIMIT_S)) is not None:
                assert message["type"] != "dropped"
                if message["type"] == "detection":
                    got.append(message["id"])

    def end(self) -> None:
        for thread in self._threads:
            thread.join(LIMIT_S)
        for peer in [*self._readers, *self._others]:
            peer.close()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """An answer a byte at a time, longer than anybody should wait."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.1)


def busy(receiver: Receiver, handler: BaseHTTPRequestHandler) -> None:
    """503 until the receiver is released."""
    handler.send_response(200 if receiver.released.is_set() else 503)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.fixture
def hooks() -> Iterator[dict[str, Receiver]]:
    """Servers that take events, and servers that do not."""
    with contextlib.ExitStack() as stack:
        receivers = {
            "good": Receiver(),
            "spooled": Receiver(),
            "back again": Receiver([503] * 3),
            "redirects": Receiver(otherwise=(302, {"Location": "http://127.0.0.1:9/"})),
            "gone": Receiver(otherwise=410),
            "drips": Receiver(otherwise=drip),
            "hangs": Receiver(),
        }
        receivers["hangs"]._otherwise = receivers["hangs"].hang
        receivers["spooled"]._otherwise = lambda handler: busy(receivers["spooled"], handler)
        for receiver in receivers.values():
            stack.enter_context(receiver)
        yield receivers


@pytest.mark.parametrize("output", ["closed pipe", "full disk"])
def test_no_sink_costs_another_an_event(output: str, hooks: dict[str, Receiver], tmp_path: Path) -> None:
    """Good hooks and reading subscribers get every event in order, whatever the others and standard output do."""
    path, spool = tmp_path / "kwsd.sock", tmp_path / "hook.db"
    urls = {**{name: hook.url for name, hook in hooks.items()}, "refuses": "http://127.0.0.1:9/"}
    config = tmp_path / "kwsd.yaml"
    config.write_text(
        f"sinks:\n  - {{type: stdout}}\n  - {{type: socket, path: {path}}}\n"
        + "".join(
            f"  - {{type: webhook, url: '{url}', timeout_s: 0.5, max_age_s: {120 if name in GOOD else 2}"
            + (f", spool: {spool}" if name == "spooled" else "")
            + "}\n"
            for name, url in urls.items()
        )
    )
    arguments = ["--config", config, "--source", "-"]
    with small_disk():
        if output == "full disk":
            with Path("/dev/full").open("w") as full:
                daemon = Kwsd(*arguments, stdin=subprocess.PIPE, stdout=full)
        else:
            nobody, pipe = os.pipe()
            os.close(nobody)
            daemon = Kwsd(*arguments, stdin=subprocess.PIPE, stdout=pipe)
            os.close(pipe)
    try:
        daemon.wait_for(path.exists, "it serves its socket")
        subscribers = Subscribers(path)
        with Connection(str(path)) as asking:
            daemon.wait_for(lambda: clients(asking) == 126, "who vanished or shouted is gone")
        feed(daemon, audio(ROUNDS))
        daemon.wait_for_log("events wait in memory only")
        hooks["spooled"].released.set()
        code = daemon.end()
        subscribers.end()
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.end()
    assert code == 0, daemon.log
    heard = int(daemon.log[-1].partition(" of audio, ")[2].split()[0])
    assert heard >= ROUNDS * 10, daemon.log
    every = list(range(1, heard + 1))
    assert {name: numbers(ids(hooks[name])) for name in GOOD} == dict.fromkeys(GOOD, every)
    assert [numbers(got) for got in subscribers.got] == [every] * len(subscribers.got)
    assert len(hooks["gone"].requests) == 1, "410 disables the hook for this run"
    assert numbers(ids(hooks["redirects"])) == every, "told each once, and nothing followed"
    assert len(hooks["redirects"].requests) == heard
    told = Counter(line.partition(": ")[2] for line in daemon.log)
    assert max(told.values()) == 1, f"said more than once: {told}"
    for trouble in ("standard output cannot be written", "events wait in memory only"):
        assert sum(trouble in line for line in daemon.log) == 1, daemon.log


GOOD = ("good", "spooled", "back again")


def test_commands_that_hang_and_recordings_that_cannot_be_written_cost_nobody_an_event(tmp_path: Path) -> None:
    """One more good sink, a command that hangs, one that fails, and a disk on which no recording has room."""
    config = tmp_path / "kwsd.yaml"
    hangs = 'trap \\"\\" TERM; sleep 1000'
    config.write_text(
        f"sinks:\n  - {{type: stdout}}\n"
        f"  - {{type: exec, commands: {{stop: ['false'], '*': [sh, -c, \"{hangs}\"]}}, timeout_s: 0.2}}\n"
        f"  - {{type: clips, folder: {tmp_path}/clips, before_ms: 3000}}\n"  # each longer than a file may become
    )
    with small_disk():
        daemon = Kwsd("--config", config, "--source", "-", stdin=subprocess.PIPE)
    feed(daemon, audio(ROUNDS))
    assert daemon.end() == 0
    heard = len(daemon.lines)
    assert [event["seq"] for event in daemon.events] == list(range(1, heard + 1)) and heard >= ROUNDS * 10
    assert f"{heard} detections; stdout: {heard} sent; exec: {heard} dropped; clips: {heard} dropped" in daemon.log[-1]
    assert sum("recordings cannot be kept" in line for line in daemon.log) == 1
    assert not list(tmp_path.glob("clips/**/*.flac*"))


def clients(connection: Connection) -> int:
    connection.send({"get": "status"})
    while (message := connection.receive(LIMIT_S)) is not None:
        if message["type"] == "snapshot":
            return int(message["clients"])
    raise AssertionError("no answer")


def spooled(spool: Path, copy: Path) -> int:
    """How many events the spool holds on disk; read from a copy, since kwsd keeps its own locked."""
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{spool}{suffix}", f"{copy}{suffix}")
    try:
        with contextlib.closing(sqlite3.connect(copy)) as database:
            return int(database.execute("SELECT count(*) FROM events").fetchone()[0])
    except sqlite3.Error:  # copied in the middle of a write
        return 0


@pytest.fixture
def killed(tmp_path: Path) -> Callable[[float, str], tuple[Path, list[str]]]:
    """Runs kwsd with a hook whose server is down, kills it with SIGKILL, and returns its settings and what it heard."""

    def run(max_age_s: float, url: str) -> tuple[Path, list[str]]:
        config, spool = tmp_path / "kwsd.yaml", tmp_path / "hook.db"
        config.write_text(
            "sinks:\n  - {type: stdout}\n"
            f"  - {{type: webhook, url: '{url}', spool: {spool}, max_age_s: {max_age_s}, timeout_s: 1}}\n"
        )
        with running("--config", config, "--source", "-", stdin=subprocess.PIPE) as daemon:
            pipe = daemon.process.stdin
            pipe.buffer.write(audio(1))  # and does not end
            pipe.buffer.flush()
            daemon.wait_for(lambda: len(daemon.lines) >= 10, "words are heard")
            daemon.wait_for(
                lambda: spooled(spool, tmp_path / "copy.db") == len(daemon.lines), "they are in the spool", 20
            )
            daemon.process.kill()
            daemon.end()
            pipe.close()
            kept = spooled(spool, tmp_path / "copy.db")  # a word that comes just before the end may only be printed
            assert kept >= 10
            return config, [event["id"] for event in daemon.events][:kept]

    return run


def test_sigkill_loses_no_event_of_a_spooled_hook(killed: Callable, tmp_path: Path) -> None:
    """The next run delivers what the killed one owed, in order and with the same ids."""
    with socket.socket() as reserved:  # a port where nobody listens, until the server is there
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        config, owed = killed(600, f"http://127.0.0.1:{port}/hook")
    with Receiver(port=port) as receiver, running("--config", config, "--source", "-", stdin=subprocess.PIPE) as daemon:
        receiver.wait_for(len(owed))
        feed(daemon, bytes(3200))
        assert daemon.end() == 0
        assert ids(receiver)[: len(owed)] == owed  # one more may have reached the spool and not standard output


def test_what_went_stale_while_kwsd_was_away_is_dropped_and_counted(killed: Callable, tmp_path: Path) -> None:
    """An old "go" is worse than none."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        config, owed = killed(600, f"http://127.0.0.1:{port}/hook")
    config.write_text(config.read_text().replace("max_age_s: 600", "max_age_s: 0.5"))
    time.sleep(0.5)
    with Receiver(port=port) as receiver, running("--config", config, "--source", "-", stdin=subprocess.PIPE) as daemon:
        daemon.wait_for_log(": 0 spooled events to deliver, ")
        feed(daemon, bytes(3200))
        assert daemon.end() == 0
    assert receiver.requests == []
    assert int(daemon.log[-1].partition("webhook: ")[2].partition(" dropped")[0]) >= len(owed), daemon.log

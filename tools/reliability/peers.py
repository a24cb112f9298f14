"""Those at the other end of a kwsd's sinks: a web server in changing moods, and subscribers of all kinds."""

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kwsd.client import Connection


class Hook:
    """A server that mostly takes events, and often does what servers should not. Nothing it was given gets stale."""

    def __init__(self) -> None:
        self.taken: list[str] = []  # ids, in the order in which the client was told that they are delivered
        self.answers: Counter[str] = Counter()
        self._random = random.Random(6)
        self._port = 0
        self.up()

    def up(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook._answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"])))["id"])

            def log_message(self, *_: object) -> None:
                """Says nothing: the ids are looked at."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Clients that hang up on a slow answer are part of the run."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Refuses connections from here on, until `up`."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    def _answer(self, handler: BaseHTTPRequestHandler, identity: str) -> None:
        kinds, weights = ("good", "slow", "busy", "taken, then an error", "hangs"), (75, 8, 8, 5, 4)
        (kind,) = self._random.choices(kinds, weights)
        self.answers[kind] += 1
        if kind == "slow":
            time.sleep(0.8)
        if kind == "hangs":
            time.sleep(2)
            handler.close_connection = True
            return
        if kind != "busy":
            self.taken.append(identity)
        handler.send_response(204 if kind in ("good", "slow") else 503)
        handler.end_headers()


class Readers:
    """Subscribers of all kinds. Those that read keep the ids they got."""

    def __init__(self, path: str, alive: Callable[[], bool]) -> None:
        self.path, self._alive = path, alive
        self.got: list[list[str]] = [[] for _ in range(3)]
        self.dropped = 0
        self.states: Counter[str] = Counter()
        self.misbehaved = 0
        self._threads = [threading.Thread(target=self._read, args=(got,), daemon=True) for got in self.got]
        for thread in [*self._threads, threading.Thread(target=self._misbehave, daemon=True)]:
            thread.start()
        self._deaf = socket.socket(socket.AF_UNIX)  # never reads
        self._deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._deaf.connect(path)
        self._deaf.sendall(b'{"subscribe":{"types":["detection","status","scores"]}}\n')

    def _read(self, got: list[str]) -> None:
        with contextlib.suppress(OSError), Connection(self.path) as connection:
            if got is self.got[0]:
                connection.send({"subscribe": {"types": ["detection", "status", "scores"]}})
            while (message := connection.receive()) is not None:
                if message["type"] == "detection":
                    got.append(message["id"])
                elif message["type"] == "status":
                    self.states[message["state"]] += got is self.got[1]
                elif message["type"] == "dropped":
                    self.dropped += message["count"]

    def _misbehave(self) -> None:
        chance = random.Random(7)
        while self._alive():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(self.path)
                self.misbehaved += 1
                if chance.random() < 0.5:
                    peer.sendall(chance.randbytes(3000) + b"\n" * 20)
                    while peer.recv(4096):
                        pass
            time.sleep(0.5)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(10)
        self._deaf.close()

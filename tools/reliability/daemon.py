"""A kwsd under observation, for the runs of `soak.py`."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kwsd.client import Connection

ROOT = Path(__file__).resolve().parents[2]
GROWTH_LIMIT_MB = 3.0  # of resident memory, from the median of the second tenth to that of the last


class Daemon:
    """A kwsd under observation: its events, its log, its memory, threads and open files."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None, stdin: Any = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kwsd", *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.rss_mb: list[float] = []
        self.threads: list[int] = []
        self.files: list[int] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._take_event)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._take_log)),
        ]
        for reader in self._readers:
            reader.start()

    def _take_event(self, line: bytes) -> None:
        event = json.loads(line)
        self.events.append({key: event[key] for key in ("id", "label", "audio_ms")})  # the soak's memory is finite too

    def _take_log(self, line: bytes) -> None:
        self.log.append(line.decode().rstrip())
        print(f"  {self.log[-1]}", file=sys.stderr, flush=True)

    def _read(self, stream: Any, take: Callable[[bytes], None]) -> None:
        with stream:
            for line in stream:
                take(line)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def sample(self) -> None:
        """Takes note of what the process holds now."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            proc = Path(f"/proc/{self.process.pid}")
            pages = int((proc / "statm").read_text().split()[1])
            if pages:
                self.rss_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
                self.threads.append(len(list((proc / "task").iterdir())))
                with contextlib.suppress(PermissionError):  # kwsd lets root alone look
                    self.files.append(len(list((proc / "fd").iterdir())))

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self._readers:
            reader.join()
        return code

    def holdings(self) -> dict[str, Any]:
        """Memory, threads and files, and how much they grew once the start was over."""
        tenth = max(1, len(self.rss_mb) // 10)
        begin, end = (statistics.median(part) for part in (self.rss_mb[tenth : 2 * tenth], self.rss_mb[-tenth:]))
        return {
            "rss_begin_mb": round(begin, 2),
            "rss_end_mb": round(end, 2),
            "rss_max_mb": round(max(self.rss_mb), 2),
            "rss_growth_mb": round(end - begin, 2),
            "threads_max": max(self.threads),
            "files_max": max(self.files, default=None),
        }


def connected(daemon: Daemon, path: str) -> Connection:
    while daemon.alive:
        try:
            connection = Connection(path)
        except OSError:
            time.sleep(0.05)
        else:
            connection.send({"subscribe": {"types": []}})
            return connection
    raise SystemExit(f"soak: kwsd ended with {daemon.end()} at the start")


def snapshot_of(connection: Connection) -> dict[str, Any]:
    connection.send({"get": "status"})
    while (message := connection.receive(30)) is not None:
        if message["type"] == "snapshot":
            return message
    raise SystemExit("soak: no snapshot")


def faults(*checks: tuple[bool, str]) -> list[str]:
    return [what for broken, what in checks if broken]


def growth(daemon: Daemon) -> Iterator[tuple[bool, str]]:
    grown_mb = daemon.holdings()["rss_growth_mb"]
    yield grown_mb > GROWTH_LIMIT_MB, f"memory grew by {grown_mb} MiB"

"""A real kwsd process, as a shell, systemd or a program would start it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo.flac"
LIMIT_S = 60.0


class Kwsd:
    """``python -m kwsd ARGUMENTS``, its output read as it comes unless it goes elsewhere."""

    def __init__(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = subprocess.PIPE,
        command: Sequence[str] = (sys.executable, "-m", "kwsd"),
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # whether a terminal controls it must not depend on where the tests were started
        )
        self.lines: list[str] = []
        self.log: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.log))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, into: list[str]) -> None:
        with stream:
            into.extend(iter_lines(stream))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines)]

    @property
    def words(self) -> list[str]:
        return [event["label"] for event in self.events]

    def wait_for(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Waits until the condition holds; fails with the log when the limit has passed or kwsd has ended."""
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if self.process.poll() is not None and not condition():
                raise AssertionError(
                    f"kwsd ended with {self.process.returncode} before {what}:\n" + "\n".join(self.log)
                )
            assert time.monotonic() < deadline_s, f"not within {limit_s} s: {what}\n" + "\n".join(self.log)
            time.sleep(0.02)

    def wait_for_log(self, text: str, limit_s: float = LIMIT_S) -> None:
        self.wait_for(lambda: any(text in line for line in list(self.log)), f"the log says {text!r}", limit_s)

    def end(self, limit_s: float = LIMIT_S) -> int:
        """Waits for the end; the exit code."""
        code = self.process.wait(limit_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and how long the end took in seconds."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.end()
        return code, time.monotonic() - began_s


def iter_lines(stream: Any) -> Iterator[str]:
    for line in stream:
        yield line.rstrip("\n")


@contextmanager
def running(*arguments: str | Path, **kwargs: Any) -> Iterator[Kwsd]:
    """A kwsd that is killed at the end of the block if it still runs."""
    kwsd = Kwsd(*arguments, **kwargs)
    try:
        yield kwsd
    finally:
        if kwsd.process.poll() is None:
            kwsd.process.kill()
        kwsd.end()


def run(*arguments: str | Path, **kwargs: Any) -> Kwsd:
    """A kwsd that has ended by itself."""
    with running(*arguments, **kwargs) as kwsd:
        kwsd.end()
        return kwsd


def demo_words() -> list[str]:
    """The wanted words of the demo recording, in order."""
    rows = [line.split(", ") for line in DEMO.with_suffix(".txt").read_text().splitlines()]
    return [label for label, _ in rows if not label.startswith("_")]


def in_order(heard: list[str], said: list[str]) -> int:
    """How many of the words said were heard, in order (longest common subsequence)."""
    row = [0] * (len(said) + 1)
    for word in heard:
        before = row[:]
        for at, other in enumerate(said):
            row[at + 1] = before[at] + 1 if word == other else max(before[at + 1], row[at])
    return row[-1]

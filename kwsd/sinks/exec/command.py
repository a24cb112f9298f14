"""A program that is run for an event: its input, how it is found, and how it and its children are ended.

Never through a shell. The event's line is its standard input; its label, score and id are in its environment.
"""

import contextlib
import logging
import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

LOOK_S = 0.05  # how often a wait for a command checks whether to stop
GRACE_S = 0.15  # between SIGTERM and SIGKILL
LINE_BYTES = 1000  # of its output; longer ones are cut
LINES = 100  # lines of its output that are logged
_OF_KWSD = ("KWSD_LABEL", "KWSD_SCORE", "KWSD_ID")
_OF_THE_SERVICE = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")  # would let it notify systemd in kwsd's name


def environment(message: Mapping[str, Any]) -> dict[str, str]:
    """This process's environment, with ``KWSD_LABEL``, ``KWSD_SCORE`` and ``KWSD_ID`` if the event has them."""
    kept = {key: value for key, value in os.environ.items() if key not in (*_OF_KWSD, *_OF_THE_SERVICE)}
    told = {f"KWSD_{key.upper()}": str(message[key]) for key in ("label", "score", "id") if key in message}
    return kept | told


def fault(program: str) -> tuple[str, str] | None:
    """Why this program cannot be run, and how to fix it, which may be empty; None if it can."""
    if shutil.which(program) is not None:
        return None
    if os.path.isfile(program):  # noqa: PTH113 (a name without a folder is one of $PATH to Path, too)
        return f"{program!r} may not be run", f"chmod +x {shlex.quote(program)}"
    return f"there is no program {program!r}", "No shell expands ~: write it out." if program.startswith("~") else ""


class Command:
    """A running program, in a process group of its own with its children.

    Args:
        words: the program and its arguments.
        message: the event, for the environment.
        line: the event, for standard input.

    Raises:
        OSError: it cannot be started.
        ValueError: an invalid argument (with a NUL).
    """

    def __init__(self, words: Sequence[str], message: Mapping[str, Any], line: bytes) -> None:
        self.name = words[0]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(message),
            start_new_session=True,
        )
        self._output = _Lines(self.name)
        self._collecting = threading.Lock()  # the number of a reaped process may be reused
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(BrokenPipeError):  # it does not read its input, which it need not
            self._process.stdin.write(line)  # less than the capacity of a pipe
            self._process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    @property
    def last_line(self) -> str:
        """The last line of its output."""
        return self._output.last

    def wait(self, timeout_s: float, is_to_stop: Callable[[], bool]) -> int | None:
        """Its exit code; None if it took too long, or kwsd stops. Nothing of its group is left running."""
        ended = self._wait(time.monotonic() + timeout_s, is_to_stop)
        if not ended:
            self.signal(signal.SIGTERM)
            self._wait(time.monotonic() + GRACE_S, lambda: False)
        self.signal(signal.SIGKILL)
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._collecting:
            code = self._process.wait()
        self._read()
        self._output.end()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code if ended else None

    def signal(self, number: int) -> None:
        """Sends a signal to it and its children, unless it has been reaped. From any thread."""
        with self._collecting, contextlib.suppress(ProcessLookupError):
            if self._process.returncode is not None:
                return
            try:
                os.killpg(self._process.pid, number)
            except PermissionError as error:  # a program of another user, such as a setuid one
                log.warning("%s cannot be ended: %s", self.name, error.strerror)

    def _wait(self, deadline_s: float, is_to_stop: Callable[[], bool]) -> bool:
        """Whether it has ended by itself. It is not reaped yet, so that its group's number is not reused."""
        poller = select.poll()
        poller.register(self._pipe, select.POLLIN)
        while (left_s := deadline_s - time.monotonic()) > 0 and not is_to_stop():
            if poller.poll(1000 * min(left_s, LOOK_S)) and not self._read():
                poller.unregister(self._pipe)
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return True
        return False

    def _read(self) -> bool:
        """Reads its output; returns whether more may come."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe, 65536)
            self._output.push(data)
            return data != b""
        return True


class _Lines:
    """Logs a program's output line by line, up to a limit."""

    def __init__(self, name: str) -> None:
        self.last = ""
        self._name, self._rest, self._count = name, b"", 0

    def push(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:LINE_BYTES]
        for line in lines:
            self._take(line)

    def end(self) -> None:
        if self._rest:
            self._take(self._rest)

    def _take(self, line: bytes) -> None:
        text = line[:LINE_BYTES].decode("utf-8", "replace")
        self.last = "".join(character if character.isprintable() else " " for character in text).strip()
        self._count += 1
        if self._count <= LINES:
            log.debug("%s: %s", self._name, self.last)
        elif self._count == LINES + 1:
            log.debug("%s: writes more, which is not logged", self._name)

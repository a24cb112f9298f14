"""A child process that can be discarded at any time, whatever it is doing."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

REAP_S = 0.2  # a child blocked inside a driver does not even obey SIGKILL


class ChildProcess:
    """A running program in a process group of its own, so that Ctrl-C is for the parent.

    Args:
        command: program and arguments.
        how: further arguments of `subprocess.Popen`.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, command: Sequence[str], **how: Any) -> None:
        self._process = subprocess.Popen(command, process_group=0, **how)
        try:
            # Kept open, since there may be no descriptor left when things go wrong.
            self._stat = os.open(f"/proc/{self._process.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._end()
            raise

    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB."""
        fields = os.pread(self._stat, 1 << 12, 0).rpartition(b") ")[2].split()
        user, system, pages = int(fields[11]), int(fields[12]), int(fields[21])
        return (user + system) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> tuple[bool, int] | None:
        """Its exit code or signal if it ended by itself; None while it runs."""
        # Without reaping it: until `kill`, its number, also that of its group, must not be reused.
        end = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if end is None else (end.si_code == os.CLD_EXITED, end.si_status)

    def kill(self) -> None:
        """Kills it and its children, whatever they are doing."""
        self._end()
        os.close(self._stat)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)

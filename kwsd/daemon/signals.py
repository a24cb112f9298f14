"""Signals as flags that the main thread checks when it wakes.

A handler only sets a flag; the interpreter's write to the wake-up pipe ends the wait.
(Setting a threading.Event in a handler can deadlock with a main thread that is inside its wait.)
"""

import contextlib
import functools
import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_early: list[int] = []


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal. It loses it just before the SIGHUP that says so."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@functools.cache
def _started_in_terminal() -> bool:
    return _has_terminal()


def hold_hangup() -> None:
    """Holds back a SIGHUP, which would end the process, until there are `Signals`; call it as early as possible."""
    _started_in_terminal()
    if not _nohup():
        signal.signal(signal.SIGHUP, lambda number, _frame: _early.append(number))


def _nohup() -> bool:
    """Whether kwsd was started by nohup."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and _started_in_terminal()


class Signals:
    """SIGTERM and SIGINT mean stop, SIGHUP means reload; use it as a context in the main thread.

    Where the terminal that kwsd was started in has been closed, SIGHUP means stop.

    Args:
        can_reload: whether there is a configuration to reload; otherwise SIGHUP means stop.

    Attributes:
        stop: whether a stop was requested.
        reload: whether a reload was requested; reset by the caller.
    """

    def __init__(self, *, can_reload: bool) -> None:
        self._can_reload = can_reload
        self.stop = False
        self.reload = False
        self._before: dict[int, Any] = {}
        self._pipe_in_use = threading.Lock()  # its number may soon be reused

    def __enter__(self) -> "Signals":
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, *(() if _nohup() else (signal.SIGHUP,))):
            self._before[number] = signal.signal(number, self._note)
        while _early:
            self._note(_early.pop(), None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        with self._pipe_in_use:
            os.close(self._read)
            os.close(self._write)
            self._read = self._write = -1

    def wait(self, seconds: float) -> None:
        """Waits for a signal or `wake`, but not longer than this."""
        if select.select([self._read], [], [], max(0.0, seconds))[0]:
            os.read(self._read, 4096)

    def wake(self) -> None:
        """Ends the wait, or the next one; any thread may call it."""
        with self._pipe_in_use, contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            if self._write >= 0:
                os.write(self._write, b"\0")

    def _note(self, number: int, _frame: FrameType | None) -> None:
        terminal_closed = _started_in_terminal() and not _has_terminal()
        if number == signal.SIGHUP and self._can_reload and not terminal_closed:
            self.reload = True
        else:
            self.stop = True

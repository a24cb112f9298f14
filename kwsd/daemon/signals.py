"""Signals as facts that the main thread finds when it wakes.

A handler only notes what came; the write to the wake-up pipe, which the interpreter itself does, ends the wait.
(Setting a threading.Event in a handler can deadlock with a main thread that is inside its wait.)
"""

import contextlib
import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_early: list[int] = []


def has_terminal() -> bool:
    """Whether a terminal controls this process, so that SIGHUP says that it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def hold_hangup() -> None:
    """Keeps a SIGHUP, which would end the process, for the `Signals` to come; as early as can be."""
    if not _nohup():
        signal.signal(signal.SIGHUP, lambda number, _frame: _early.append(number))


def _nohup() -> bool:
    """Whether kwsd was started by nohup, to outlive its terminal."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and has_terminal()


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to reload; use it as a context in the main thread.

    Args:
        can_reload: whether there is anything to reload, and no terminal whose end SIGHUP would tell; if not, SIGHUP
            asks to stop.

    Attributes:
        stop: whether to stop has been asked.
        reload: whether to reload has been asked; reset by whoever does it.
    """

    def __init__(self, *, can_reload: bool) -> None:
        self._can_reload = can_reload
        self.stop = False
        self.reload = False
        self._before: dict[int, Any] = {}
        self._pipe_in_use = threading.Lock()  # its number may soon be another file's

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
        """Waits until a signal or `wake` comes, at most so long."""
        if select.select([self._read], [], [], max(0.0, seconds))[0]:
            os.read(self._read, 4096)

    def wake(self) -> None:
        """Ends the wait, or the next one; any thread may call it."""
        with self._pipe_in_use, contextlib.suppress(BlockingIOError):  # full: there is enough to wake for
            if self._write >= 0:
                os.write(self._write, b"\0")

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._can_reload:
            self.reload = True
        else:
            self.stop = True

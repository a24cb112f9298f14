"""Early ends of a run: SIGINT and SIGTERM let it save its state first."""

import os
import select
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A run was asked to end, and has saved its state.

    Args:
        number: the signal.
        told: a line about it for the user.
    """

    def __init__(self, number: int, told: str) -> None:
        super().__init__(told)
        self.exit_code = 128 + number
        self.line = f"{signal.Signals(number).name}: {told}"


class EndRequests:
    """SIGINT and SIGTERM, in a context of the main thread; not handled elsewhere, or before it is entered.

    The first one raises `Stopped` at the current place or, after `save_first`, sets ``number`` and leaves the end to
    the program. A second one ends the process at once. If the main thread is in native code, in which no handler runs,
    another thread does both.

    Attributes:
        number: the signal that came; 0 for none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._saves_first = False
        self._patience_s: float | None = 5.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "EndRequests":
        if threading.current_thread() is not threading.main_thread():
            return self
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._write, False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup, or by a shell in the background
                self._before[number] = signal.getsignal(number)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self.take_back()
        self._watcher = threading.Thread(target=self._watch, name="end-requests", daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._write)
        self._watcher.join()
        os.close(self._read)

    def take_back(self) -> None:
        """Handle the signals again, after a library has installed its own handlers."""
        for number in self._before:
            signal.signal(number, self._handle)

    def save_first(self, patience_s: float | None = None) -> None:
        """From now on a signal only sets ``number``.

        Args:
            patience_s: end the process anyway if it has not ended this long after it; None for never.
        """
        self._saves_first, self._patience_s = True, patience_s

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            return  # left to the watcher
        self.number = number
        if not self._saves_first:
            raise Stopped(number, "ended before the first step, so there is nothing to save")

    def _watch(self) -> None:
        """The interpreter writes each signal's number into the pipe, regardless of what the main thread does."""
        first = 0
        while True:
            if not select.select([self._read], [], [], self._patience_s if first else None)[0]:
                print(f"kwsd-train: {signal.Signals(first).name}: ended in the middle of a step", file=sys.stderr)
                os._exit(128 + first)
            came = os.read(self._read, 64)
            if not came:
                return
            for number in filter(_SIGNALS.__contains__, came):
                if first:
                    os._exit(128 + number)
                first = number

"""A function in a thread of its own, for work that may take seconds while signals and the watchdog must be served."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Runs a function at once, in a thread that does not keep the process alive.

    Args:
        function: `result` returns or raises what it did.
        name: of the thread.
        wake: called in that thread when it is done.
    """

    def __init__(self, function: Callable[[], T], name: str, wake: Callable[[], None]) -> None:
        self._function, self._wake = function, wake
        self._result: T
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether the function has returned or raised."""
        return self._done.is_set()

    def result(self) -> T:
        """Returns what the function returned, or raises what it raised. Only once it is done."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # raised again by `result`
            self._error = error
        finally:
            self._done.set()
            self._wake()

"""A reload is all or nothing: everything is checked first, sources are opened last, and closed again if the
configuration is rejected after all.

Only opening a device shows whether its name is ambiguous or it lacks the channel. So the new microphone is opened
while the old one keeps running, until the new one is open, or is waited for as at the start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kwsd.audio.source import LiveSource, Source
from kwsd.daemon.background_call import BackgroundCall
from kwsd.status import State

if TYPE_CHECKING:
    from kwsd.config.effective import Effective, Plan
    from kwsd.sinks.sink import Sink

OPEN_LIMIT_S = 3.0  # a sound server may hang forever; the microphone's recovery deals with it


class Checked(NamedTuple):
    """A configuration that passed all checks that open nothing; ``sinks`` are not started."""

    plan: "Plan"
    hearing: "Mapping[str, Sequence[Effective]]"
    sinks: "Sequence[Sink]"


class Reload:
    """A reload in progress.

    Args:
        check: reads and checks the configuration, without opening anything, in its own thread. Raises KwsdError.
        open_sources: begins to open the configured sources that are not open already, and puts each into the mapping
            passed to it.
        wake: wakes the main thread.

    Attributes:
        sources: the new sources by their listeners' names, once they are being opened; their taker closes them.
    """

    def __init__(
        self,
        check: Callable[[], Checked],
        open_sources: Callable[[Checked, dict[str, Source]], None],
        wake: Callable[[], None],
    ) -> None:
        self._checking = BackgroundCall(check, "kwsd-reload", wake)
        self._open_sources = open_sources
        self._opened_s: float | None = None
        self.sources: dict[str, Source] = {}

    @property
    def checking(self) -> bool:
        """Whether the thread is still running."""
        return not self._checking.done

    def step(self, now_s: float) -> Checked | None:
        """The configuration to apply, together with ``sources``; None while that is not known.

        Args:
            now_s: ``time.monotonic()``.

        Raises:
            KwsdError: the configuration is rejected; `abandon` must be called.
        """
        if not self._checking.done:
            return None
        checked = self._checking.result()
        if self._opened_s is None:
            self._opened_s = now_s
            self._open_sources(checked, self.sources)
        devices = [source for source in self.sources.values() if isinstance(source, LiveSource)]
        for device in devices:
            device.step(now_s)
        if any(device.state[0] == State.STARTING for device in devices) and now_s - self._opened_s < OPEN_LIMIT_S:
            return None
        return checked

    def abandon(self) -> None:
        """Closes the sources that were opened."""
        for source in self.sources.values():
            source.close()
        self.sources.clear()

"""A reload is all or nothing: everything is checked first, what has to be opened is opened last, and what was opened
for a configuration that is refused after all is closed again.

A device's name may fit several, or it may lack the channel, and only opening it tells. So the new microphone begins
beside the old one, which is heard until the new one is open, or is waited for as at the start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kwsd.audio.source import LiveSource, Source
from kwsd.daemon.background_call import BackgroundCall
from kwsd.status import State

if TYPE_CHECKING:
    from kwsd.config.effective import Effective, Plan
    from kwsd.sinks.sink import Sink

OPEN_LIMIT_S = 3.0  # a sound server that hangs may do so for ever; the microphone's recovery deals with it


class Checked(NamedTuple):
    """A configuration in which nothing wrong was found before anything was opened; ``sinks`` are not started."""

    plan: "Plan"
    hearing: "Mapping[str, Sequence[Effective]]"
    sinks: "Sequence[Sink]"


class Reload:
    """One reload on its way.

    Args:
        check: reads and checks everything that need not be opened; runs in a thread of its own. Raises KwsdError.
        open_sources: begins to open the sources that the configuration asks for, where they are not those at hand, and
            puts each into the mapping that it is given.
        wake: wakes the main thread.

    Attributes:
        sources: the new sources by their listeners' names, once they are being opened; whoever takes them closes them.
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
        """Whether the thread is still at work."""
        return not self._checking.done

    def step(self, now_s: float) -> Checked | None:
        """What may be put in force, together with ``sources``; None while that is not known.

        Args:
            now_s: ``time.monotonic()``.

        Raises:
            KwsdError: the configuration is refused; `abandon` has to follow.
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
        """Closes what was opened."""
        for source in self.sources.values():
            source.close()
        self.sources.clear()

"""Opens the listeners' sources: at the start, after a pause, and when a reload changes them."""

from collections.abc import Mapping, Sequence

from kwsd.audio.open import SourceOptions, open_source
from kwsd.audio.source import Found, Source
from kwsd.config import Settings
from kwsd.config.effective import Effective
from kwsd.daemon.listener import Listener
from kwsd.daemon.listeners import Listeners
from kwsd.daemon.reload import Checked
from kwsd.errors import ConfigError

STDIN = "-"
BEGUN = "source '-': standard input has been read from already, and cannot be opened in its midst. Restart kwsd"


class Sources:
    """Opens sources in one way.

    Args:
        options: how to read a file that replaces the microphone.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._began_stdin = False  # as of the last reload

    def open(
        self, settings: Settings, hearing: Sequence[Effective], *, wait: bool | None = None, again: Found | None = None
    ) -> Source:
        """The source of one listener, at the rate of its models.

        Args:
            wait: whether to wait for a missing microphone; None for the options' value.
            again: which microphone it was before the pause that ends now.

        Raises:
            KwsdError: see `kwsd.audio.open.open_source`.
        """
        options = self._options if wait is None else self._options._replace(wait=wait)
        stride_ms = min(each.recognize.clip_stride_ms for each in hearing)
        return open_source(settings.audio, options, hearing[0].model.sample_rate_hz, stride_ms, again)

    def open_changed(
        self, checked: Checked, before: Mapping[str, Settings], listeners: Listeners, opened: dict[str, Source]
    ) -> None:
        """Opens the sources of a reload that are not open already; missing devices are waited for.

        Args:
            before: the settings in effect.
            opened: receives each source as soon as it is opened.

        Raises:
            KwsdError: as `open`; or standard input would be opened again, after the header that says what it holds.
        """
        self._began_stdin |= any(each.audio.source == STDIN for each in before.values())
        for name, settings in checked.plan.settings.listeners.items():
            hearing, listener = checked.hearing[name], listeners.get(name)
            if listener is None or _is_other(listener, before[name], settings, hearing):
                if self._began_stdin and settings.audio.source == STDIN:
                    raise ConfigError(f"listener {name}: {BEGUN}")
                opened[name] = self.open(settings, hearing, wait=True)


def moves(before: Settings, settings: Settings) -> bool:
    """Whether another file, stream or device kind is asked for."""
    return before.audio.source != settings.audio.source


def _is_other(listener: Listener, before: Settings, settings: Settings, hearing: Sequence[Effective]) -> bool:
    """Whether a listener needs another source now; a paused one opens devices and streams when it resumes.

    What has ended is not read again, unless the settings name something else.
    """
    if listener.ended:
        return moves(before, settings)
    rate_hz = listener.sample_rate_hz
    same_rate = hearing[0].model.sample_rate_hz == rate_hz
    if listener.reads_on and not moves(before, settings):
        if not same_rate:
            raise ConfigError(f"model: its rate is not {rate_hz} Hz, at which this source is being read")
        return False
    if listener.paused:
        return moves(before, settings) and isinstance(settings.audio.source, str)
    return not (same_rate and before.audio == settings.audio)
